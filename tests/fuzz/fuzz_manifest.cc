// SPDX-License-Identifier: Apache-2.0
// The texts of a signed bundle: a manifest, key or signature that is accepted is exactly the text
// that would be written, and no signature fits a manifest that its key did not sign.
#include <string>

#include "cache/manifest.h"
#include "cache/signature.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace rmsjit;

const SecretKey& test_key() {
  static const SecretKey& key =
      *new SecretKey(*SecretKey::from_text("rmsjit secret key 1\n" + std::string(64, '7') + "\n"));
  return key;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(fuzz::text_of(data, size));
  if (const auto manifest = Manifest::from_text(text); manifest.ok()) {
    fuzz::require(manifest->text() == text, "a manifest has one text");
    for (const Manifest::Item& item : manifest->items) {
      const Digest* checksum = manifest->checksum_of(item.entry);
      fuzz::require(checksum != nullptr && *checksum == item.checksum, "every item is found");
    }
  }
  if (const auto key = SecretKey::from_text(text); key.ok()) {
    fuzz::require(key->text() == text, "a secret key has one text");
  }
  if (const auto keys = parse_public_keys(text); keys.ok()) {
    fuzz::require(keys->size() == (size + 1) / 65, "a list has as many keys as it is long");
  }
  const std::string signature = sign("a manifest", test_key());
  if (const auto by = check_signature("a manifest", text); by.ok()) {
    fuzz::require(!(*by == test_key().public_key()) || text == signature, "one signature a key");
  }
  fuzz::require(text == "a manifest" || !check_signature(text, signature).ok(),
                "a signature fits its manifest only");
  return 0;
}
