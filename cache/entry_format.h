// SPDX-License-Identifier: Apache-2.0
// One entry = one file = one compiled image with everything needed to check and launch it. Pure
// functions over bytes; decode_entry accepts any bytes at all and is fuzzed.
#ifndef RMSJIT_ENTRY_FORMAT_H_
#define RMSJIT_ENTRY_FORMAT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "cache/cache_key.h"
#include "rmsjit/status.h"

namespace rmsjit {

// What the file says of its image, as JSON inside the entry.
struct EntryMetadata {
  std::string key_text;         // CacheKey::text(); its SHA-256 is the digest
  std::string spec_text;        // canonical
  std::string tuning_text;      // threads, rows, staging
  std::string options;          // the canonical NVRTC options
  std::string nvrtc_version;    // "13.0"
  std::string nvrtc_build;      // "release 13.0, V13.0.88", or empty
  std::string library_version;  // of rmsjit
  std::string template_digest;  // 64 hex digits
  int32_t registers = 0;        // the larger of the two entries
  int32_t spill_bytes = 0;
  int32_t stack_bytes = 0;  // local memory a thread: 0 for every shipped plan
  int32_t shared_bytes = 0;
};

struct Entry {
  std::string target;  // "sm_90" or "compute_90"
  EntryMetadata metadata;
  std::string image;  // cubin or PTX bytes

  Digest digest() const { return sha256(metadata.key_text); }
};

// Equal entries give equal bytes: no time, host or path is written.
std::string encode_entry(const Entry& entry);

// Errors: kDamaged, saying which check failed and with which values.
Result<Entry> decode_entry(std::string_view bytes);

}  // namespace rmsjit

#endif  // RMSJIT_ENTRY_FORMAT_H_
