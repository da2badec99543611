// SPDX-License-Identifier: Apache-2.0
#include "cache/signature.h"

#include <sodium/crypto_sign_ed25519.h>
#include <sodium/utils.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>

#include "cache/cache_key.h"
#include "cache/errors.h"

namespace rmsjit {
namespace {

constexpr std::string_view kSecretHead = "rmsjit secret key 1\n";
constexpr std::string_view kSignatureHead = "rmsjit signature 1\n";
constexpr size_t kHex = 64;

using Bytes = std::array<uint8_t, 32>;
static_assert(crypto_sign_ed25519_SEEDBYTES == sizeof(Bytes));
static_assert(crypto_sign_ed25519_PUBLICKEYBYTES == sizeof(Bytes));
static_assert(crypto_sign_ed25519_BYTES == 2 * sizeof(Bytes));

const unsigned char* data_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Takes `count` times 32 bytes in hex and a line feed off the front.
bool take_line(std::string_view* text, size_t count, uint8_t* out) {
  if (text->size() <= count * kHex || (*text)[count * kHex] != '\n') return false;
  for (size_t i = 0; i < count; ++i) {
    const Result<Digest> part = Digest::from_hex(text->substr(i * kHex, kHex));
    if (!part.ok()) return false;
    std::copy(part->bytes.begin(), part->bytes.end(), out + i * sizeof(Bytes));
  }
  text->remove_prefix(count * kHex + 1);
  return true;
}

bool take_head(std::string_view* text, std::string_view head) {
  if (text->substr(0, head.size()) != head) return false;
  text->remove_prefix(head.size());
  return true;
}

}  // namespace

std::string PublicKey::hex() const { return Digest{bytes}.hex(); }

Result<PublicKey> PublicKey::from_hex(std::string_view hex) {
  const Result<Digest> digest = Digest::from_hex(hex);
  if (!digest.ok()) return bad_public_key(hex);
  return PublicKey{digest->bytes};
}

Result<std::vector<PublicKey>> parse_public_keys(std::string_view list) {
  std::vector<PublicKey> keys;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    RMSJIT_ASSIGN_OR_RETURN(PublicKey key, PublicKey::from_hex(list.substr(0, comma)));
    keys.push_back(key);
    if (comma + 1 == list.size()) return bad_public_key("");
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return keys;
}

SecretKey::~SecretKey() { sodium_memzero(seed.data(), seed.size()); }

PublicKey SecretKey::public_key() const {
  PublicKey key;
  unsigned char secret[crypto_sign_ed25519_SECRETKEYBYTES];
  crypto_sign_ed25519_seed_keypair(key.bytes.data(), secret, seed.data());
  sodium_memzero(secret, sizeof secret);
  return key;
}

std::string SecretKey::text() const { return std::string(kSecretHead) + Digest{seed}.hex() + '\n'; }

Result<SecretKey> SecretKey::from_text(std::string_view text) {
  SecretKey key;
  if (!take_head(&text, kSecretHead) || !take_line(&text, 1, key.seed.data()) || !text.empty()) {
    return damaged_secret_key();
  }
  return key;
}

Result<SecretKey> make_secret_key() {
  SecretKey key;
  const ssize_t given = getrandom(key.seed.data(), key.seed.size(), 0);
  if (given != static_cast<ssize_t>(key.seed.size())) {
    return cache_io_error("take random bytes from", "the kernel", given < 0 ? errno : EIO);
  }
  return key;
}

std::string sign(std::string_view manifest_text, const SecretKey& key) {
  unsigned char secret[crypto_sign_ed25519_SECRETKEYBYTES];
  PublicKey by;
  crypto_sign_ed25519_seed_keypair(by.bytes.data(), secret, key.seed.data());
  std::array<Digest, 2> halves;
  uint8_t signature[crypto_sign_ed25519_BYTES];
  crypto_sign_ed25519_detached(signature, nullptr, data_of(manifest_text), manifest_text.size(),
                               secret);
  sodium_memzero(secret, sizeof secret);
  std::copy(signature, signature + 32, halves[0].bytes.begin());
  std::copy(signature + 32, signature + 64, halves[1].bytes.begin());
  return std::string(kSignatureHead) + by.hex() + '\n' + halves[0].hex() + halves[1].hex() + '\n';
}

Result<PublicKey> check_signature(std::string_view manifest_text, std::string_view signature_text) {
  PublicKey by;
  uint8_t signature[crypto_sign_ed25519_BYTES];
  std::string_view rest = signature_text;
  if (!take_head(&rest, kSignatureHead) || !take_line(&rest, 1, by.bytes.data()) ||
      !take_line(&rest, 2, signature) || !rest.empty()) {
    return damaged_signature();
  }
  if (crypto_sign_ed25519_verify_detached(signature, data_of(manifest_text), manifest_text.size(),
                                          by.bytes.data()) != 0) {
    return wrong_signature(by.hex());
  }
  return by;
}

Result<PublicKey> check_signature(std::string_view manifest_text, std::string_view signature_text,
                                  const std::vector<PublicKey>& trusted) {
  RMSJIT_ASSIGN_OR_RETURN(PublicKey by, check_signature(manifest_text, signature_text));
  if (std::find(trusted.begin(), trusted.end(), by) == trusted.end()) {
    return signed_by_stranger(by.hex(), trusted.size());
  }
  return by;
}

}  // namespace rmsjit
