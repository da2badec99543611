// SPDX-License-Identifier: Apache-2.0
// What trusted keys and a required signature mean for a bundle. A bundle that a trusted key has
// signed is held to its manifest, entry by entry. Where a signature is required, every other bundle
// and every entry that is not as it was signed is an error: nothing else is searched or compiled.
#ifndef RMSJIT_SIGNATURE_POLICY_H_
#define RMSJIT_SIGNATURE_POLICY_H_

#include <memory>
#include <string>

#include "cache/disk_cache.h"
#include "rmsjit/status.h"
#include "runtime/kernel_store.h"

namespace rmsjit {

// Without what a required signature forbids: compiling, the local directory, the host's storage.
StoreOptions only_signed(StoreOptions options);

struct Bundle {
  std::shared_ptr<DiskCache> cache;
  std::shared_ptr<const Manifest> manifest;  // null: not signed by a trusted key, and need not be
};
// Errors: those of DiskCache::open; where a signature is required, also those of
// DiskCache::trusted_manifest.
Result<Bundle> open_bundle(const std::string& directory, const StoreOptions& options);

// What was found under `key`, judged by the manifest: not as signed is damage, or, where a
// signature is required, an error: kUntrusted, or kIo for an entry that cannot be read now.
Status hold_to_manifest(const Bundle& bundle, const CacheKey& key, const StoreOptions& options,
                        Lookup* lookup);

}  // namespace rmsjit

#endif  // RMSJIT_SIGNATURE_POLICY_H_
