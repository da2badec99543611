// SPDX-License-Identifier: Apache-2.0
#include "cache/cache_key.h"

#include <utility>

#include "cache/errors.h"

namespace rmsjit {
namespace {

// Takes "<decimal>:" off the front. Exactly one spelling a number, so that text() is the only
// text of a key.
bool take_length(std::string_view* rest, size_t* length) {
  constexpr size_t kMaxDigits = 9;
  size_t digits = 0;
  *length = 0;
  while (digits < rest->size() && digits <= kMaxDigits && (*rest)[digits] >= '0' &&
         (*rest)[digits] <= '9') {
    *length = *length * 10 + static_cast<size_t>((*rest)[digits] - '0');
    ++digits;
  }
  const bool padded = digits > 1 && (*rest)[0] == '0';
  if (digits == 0 || digits > kMaxDigits || padded) return false;
  if (digits == rest->size() || (*rest)[digits] != ':') return false;
  rest->remove_prefix(digits + 1);
  return true;
}

// Takes "<length>:<bytes><end>" off the front.
bool take_string(std::string_view* rest, char end, std::string* out) {
  size_t length = 0;
  if (!take_length(rest, &length)) return false;
  if (rest->size() <= length || (*rest)[length] != end) return false;
  *out = std::string(rest->substr(0, length));
  rest->remove_prefix(length + 1);
  return true;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string Digest::hex() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

Result<Digest> Digest::from_hex(std::string_view hex) {
  Digest digest;
  if (hex.size() != 2 * digest.bytes.size()) return bad_digest_text(hex);
  for (size_t i = 0; i < digest.bytes.size(); ++i) {
    const int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return bad_digest_text(hex);
    digest.bytes[i] = static_cast<uint8_t>(16 * high + low);
  }
  return digest;
}

CacheKey& CacheKey::add(std::string_view label, std::string_view value) {
  fields.push_back({std::string(label), std::string(value)});
  return *this;
}

std::string CacheKey::text() const {
  std::string text;
  for (const Field& field : fields) {
    text += std::to_string(field.label.size()) + ':' + field.label + '=';
    text += std::to_string(field.value.size()) + ':' + field.value + '\n';
  }
  return text;
}

Digest CacheKey::digest() const { return sha256(text()); }

Result<CacheKey> CacheKey::from_text(std::string_view text) {
  CacheKey key;
  std::string_view rest = text;
  while (!rest.empty()) {
    Field field;
    const size_t at = text.size() - rest.size();
    if (!take_string(&rest, '=', &field.label) || !take_string(&rest, '\n', &field.value)) {
      return damaged_key_text(at, key.fields.size());
    }
    key.fields.push_back(std::move(field));
  }
  return key;
}

}  // namespace rmsjit
