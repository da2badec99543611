// SPDX-License-Identifier: Apache-2.0
// Identity of an entry: labelled, length-prefixed fields under SHA-256. Equal fields give equal
// digests on every machine; two different field lists cannot collide by concatenation.
#ifndef RMSJIT_CACHE_KEY_H_
#define RMSJIT_CACHE_KEY_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rmsjit/status.h"

namespace rmsjit {

struct Digest {
  std::array<uint8_t, 32> bytes{};

  std::string hex() const;                               // 64 lower-case digits
  static Result<Digest> from_hex(std::string_view hex);  // kInvalidArgument
  friend bool operator==(const Digest&, const Digest&) = default;
  friend auto operator<=>(const Digest&, const Digest&) = default;
};

Digest sha256(std::string_view bytes);

// What is hashed, kept as fields: `explain` shows them and names the first one that differs.
struct CacheKey {
  struct Field {
    std::string label;
    std::string value;
    friend bool operator==(const Field&, const Field&) = default;
  };
  std::vector<Field> fields;

  CacheKey& add(std::string_view label, std::string_view value);
  // The exact bytes that are hashed; stored in the entry and compared on load. One line a field:
  // <label bytes> ":" <label> "=" <value bytes> ":" <value> "\n", lengths in decimal.
  std::string text() const;
  Digest digest() const;
  // The inverse of text(). Errors: kDamaged.
  static Result<CacheKey> from_text(std::string_view text);
};

}  // namespace rmsjit

#endif  // RMSJIT_CACHE_KEY_H_
