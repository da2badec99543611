// SPDX-License-Identifier: Apache-2.0
// Manifest: what a signed bundle holds, v1/MANIFEST. A line an entry with the checksum of its file,
// so that an entry which was added, changed or taken away since the signature shows. Pure functions
// over bytes; from_text accepts any bytes at all and is fuzzed.
//
// Grammar (ASCII, exact; equal bundles have equal manifests):
//   "rmsjit manifest 1\n"
//   then, sorted and each digest once:
//   <64 hex: the entry's digest, its name> " " <64 hex: the last 32 bytes of its file> "\n"
// Those 32 bytes are the SHA-256 of all bytes before them, which every load checks
// (entry_format.h), so the two together fix every byte of the file at no further cost.
#ifndef RMSJIT_CACHE_MANIFEST_H_
#define RMSJIT_CACHE_MANIFEST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cache/cache_key.h"
#include "rmsjit/status.h"

namespace rmsjit {

// Longer files are refused before they are read: a hundred thousand entries.
inline constexpr int64_t kMaxManifestBytes = int64_t{16} << 20;

struct Manifest {
  struct Item {
    Digest entry, checksum;
    friend bool operator==(const Item&, const Item&) = default;
  };
  std::vector<Item> items;  // sorted by entry

  std::string text() const;
  // Errors: kDamaged, with the number of the line that breaks the grammar.
  static Result<Manifest> from_text(std::string_view text);
  // Null for an entry that is not listed.
  const Digest* checksum_of(const Digest& entry) const;
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

}  // namespace rmsjit

#endif  // RMSJIT_CACHE_MANIFEST_H_
