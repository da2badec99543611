// SPDX-License-Identifier: Apache-2.0
#include "runtime/signature_policy.h"

#include <utility>

#include "runtime/errors.h"

namespace rmsjit {

StoreOptions only_signed(StoreOptions options) {
  if (!options.require_signature) return options;
  options.jit = JitMode::kOff;
  options.cache_dir.clear();
  options.storage = {};
  return options;
}

Result<Bundle> open_bundle(const std::string& directory, const StoreOptions& options) {
  if (options.require_signature || !options.trusted_keys.empty()) {
    RMSJIT_ASSIGN_OR_RETURN(auto cache, DiskCache::open(directory, DiskCache::Mode::kSigned));
    Result<Manifest> manifest = cache->trusted_manifest(options.trusted_keys);
    if (manifest.ok()) {
      return Bundle{std::move(cache), std::make_shared<const Manifest>(std::move(*manifest))};
    }
    if (options.require_signature) return manifest.status();
  }
  RMSJIT_ASSIGN_OR_RETURN(auto cache, DiskCache::open(directory, DiskCache::Mode::kReadOnly));
  return Bundle{std::move(cache), nullptr};
}

Status hold_to_manifest(const Bundle& bundle, const CacheKey& key, const StoreOptions& options,
                        Lookup* lookup) {
  if (bundle.manifest == nullptr) return Status();
  const Digest digest = key.digest();
  const bool required = options.require_signature;
  if (lookup->kind == Lookup::Kind::kUnreadable) {
    return required ? errors::entry_unreadable(bundle.cache->directory(), lookup->reason)
                    : Status();
  }
  std::string why = DiskCache::why_not_signed(*bundle.manifest, digest, *lookup);
  if (why.empty()) return Status();
  if (required) return errors::entry_refused(bundle.cache->directory(), digest.hex(), why);
  *lookup = {Lookup::Kind::kDamaged, {}, std::move(why)};
  return Status();
}

}  // namespace rmsjit
