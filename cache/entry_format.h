// SPDX-License-Identifier: Apache-2.0
// One entry = one file = one compiled image with everything needed to check and launch it. Pure
// functions over bytes; decode_entry accepts any bytes at all and is fuzzed.
//
// Grammar (little-endian, exact length, no time, host or path):
//   offset  bytes  field
//        0      8  magic: 89 "RMSK" 0d 0a 1a, so that a text-mode copy shows
//        8      4  format version
//       12      4  header bytes: 96
//       16      8  file bytes, checksum included
//       24      8  metadata bytes
//       32      8  image bytes
//       40     32  digest: SHA-256 of metadata.key_text, the entry's name in a cache
//       72     24  target, [a-z0-9_]+, zero-padded
//       96         metadata: one JSON object, names sorted, UTF-8
//                  zero padding up to the next multiple of 64
//                  image
//              32  SHA-256 of every byte before it
// A reader ignores metadata names that it does not know and requires those of its own version with
// their types; everything else is exact.
//
// Version history:
//   1  0.1.0  first
#ifndef RMSJIT_ENTRY_FORMAT_H_
#define RMSJIT_ENTRY_FORMAT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "cache/cache_key.h"
#include "rmsjit/status.h"

namespace rmsjit {

inline constexpr uint32_t kEntryFormatVersion = 1;
// Longer files are refused before they are read: a file cannot make its reader run out of memory.
inline constexpr int64_t kMaxEntryBytes = int64_t{64} << 20;

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
  int32_t registers = 0;        // the largest of the entries
  int32_t spill_bytes = 0;
  int32_t stack_bytes = 0;  // local memory a thread: 0 for every shipped plan
  int32_t shared_bytes = 0;

  friend bool operator==(const EntryMetadata&, const EntryMetadata&) = default;
};

struct Entry {
  std::string target;  // "sm_90" or "compute_90"
  EntryMetadata metadata;
  std::string image;  // cubin or PTX bytes

  Digest digest() const { return sha256(metadata.key_text); }
  friend bool operator==(const Entry&, const Entry&) = default;
};

// Equal entries give equal bytes: no time, host or path is written. Requires UTF-8 text and numbers
// >= 0; an entry that breaks this, or a limit above, gives bytes that decode_entry refuses.
std::string encode_entry(const Entry& entry);

// Errors: kDamaged, saying which check failed and with which values.
Result<Entry> decode_entry(std::string_view bytes);

}  // namespace rmsjit

#endif  // RMSJIT_ENTRY_FORMAT_H_
