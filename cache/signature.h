// SPDX-License-Identifier: Apache-2.0
// Ed25519 signatures of manifests and the text forms of keys and signatures. Pure but for
// make_secret_key; safe from any thread. Every from_text accepts any bytes at all.
//
// Grammar (ASCII, exact):
//   secret key  "rmsjit secret key 1\n" <64 hex: the seed> "\n"
//   public key  <64 hex>, alone or in a comma-separated list
//   signature   "rmsjit signature 1\n" <64 hex: the public key> "\n" <128 hex> "\n"
// What is signed is the manifest's text. Its first line keeps the signature from serving anything
// else that the key signs.
#ifndef RMSJIT_CACHE_SIGNATURE_H_
#define RMSJIT_CACHE_SIGNATURE_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rmsjit/status.h"

namespace rmsjit {

inline constexpr int64_t kMaxSignatureBytes = 4096;  // of a signature's or a key's file

struct PublicKey {
  std::array<uint8_t, 32> bytes{};

  std::string hex() const;
  static Result<PublicKey> from_hex(std::string_view hex);  // kInvalidArgument
  friend bool operator==(const PublicKey&, const PublicKey&) = default;
};

// "KEY,KEY": empty for an empty text. Errors: kInvalidArgument naming the item.
Result<std::vector<PublicKey>> parse_public_keys(std::string_view list);

// Wiped when it goes.
struct SecretKey {
  std::array<uint8_t, 32> seed{};

  SecretKey() = default;
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  ~SecretKey();
  PublicKey public_key() const;
  std::string text() const;
  static Result<SecretKey> from_text(std::string_view text);  // kDamaged
};

// Errors: kIo (the kernel gave no random bytes).
Result<SecretKey> make_secret_key();

// The text of the signature's file.
std::string sign(std::string_view manifest_text, const SecretKey& key);
// Whose signature it is. Errors: kDamaged (not a signature's text), kUntrusted (the signature does
// not fit the text, or fits under a key that is not in `trusted`).
Result<PublicKey> check_signature(std::string_view manifest_text, std::string_view signature_text,
                                  const std::vector<PublicKey>& trusted);
// The same whoever signed it.
Result<PublicKey> check_signature(std::string_view manifest_text, std::string_view signature_text);

}  // namespace rmsjit

#endif  // RMSJIT_CACHE_SIGNATURE_H_
