// SPDX-License-Identifier: Apache-2.0
// Manifests, keys and signatures: one text each, known answers, and no other text accepted.
#include "cache/signature.h"

#include "cache/manifest.h"
#include "gtest/gtest.h"
#include "tests/cache/scratch.h"

namespace rmsjit {
namespace {

Digest digest_of(int number) { return sha256(std::to_string(number)); }

Manifest manifest_of(int count) {
  Manifest manifest;
  for (int i = 0; i < count; ++i) manifest.items.push_back({digest_of(i), digest_of(1000 + i)});
  std::sort(manifest.items.begin(), manifest.items.end(),
            [](const auto& a, const auto& b) { return a.entry < b.entry; });
  return manifest;
}

SecretKey key_of(char digit) {
  return *SecretKey::from_text("rmsjit secret key 1\n" + std::string(64, digit) + "\n");
}

TEST(Manifest, SurvivesItsTextAndFindsEveryItem) {
  for (int count : {0, 1, 2, 100}) {
    const Manifest manifest = manifest_of(count);
    const Result<Manifest> back = Manifest::from_text(manifest.text());
    ASSERT_TRUE(back.ok()) << back.message();
    EXPECT_TRUE(*back == manifest);
    for (int i = 0; i < count; ++i) {
      ASSERT_NE(back->checksum_of(digest_of(i)), nullptr);
      EXPECT_EQ(*back->checksum_of(digest_of(i)), digest_of(1000 + i));
    }
    EXPECT_EQ(back->checksum_of(digest_of(count)), nullptr);
  }
}

TEST(Manifest, EveryOtherTextIsDamagedAndNamesItsLine) {
  const std::string good = manifest_of(3).text();
  for (size_t length = 0; length < good.size(); ++length) {
    const std::string cut = good.substr(0, length);
    const bool whole_lines = length > 0 && (length - 18) % 130 == 0 && length >= 18;
    EXPECT_EQ(Manifest::from_text(cut).ok(), whole_lines) << length;
  }
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] ^= 0x20;  // letters change case, digits and blanks become something else
    EXPECT_EQ(Manifest::from_text(bad).code(), StatusCode::kDamaged) << i;
  }
  std::string twice = good;
  twice.insert(18, good.substr(18, 130));
  EXPECT_NE(Manifest::from_text(twice).message().find("line 3"), std::string::npos);
  std::string swapped = good.substr(0, 18) + good.substr(148, 130) + good.substr(18, 130);
  EXPECT_FALSE(Manifest::from_text(swapped).ok());
  EXPECT_FALSE(Manifest::from_text(good + "\n").ok());
}

// RFC 8032, section 7.1, test 1: the public key of a secret one.
TEST(Signature, PublicKeysAreThoseOfTheStandard) {
  const auto key = SecretKey::from_text(
      "rmsjit secret key 1\n9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\n");
  ASSERT_TRUE(key.ok()) << key.message();
  EXPECT_EQ(key->public_key().hex(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
}

TEST(Signature, FitsItsTextAndItsKeyOnly) {
  const std::string text = manifest_of(2).text();
  const std::string signature = sign(text, key_of('1'));
  const PublicKey one = key_of('1').public_key(), two = key_of('2').public_key();
  ASSERT_TRUE(check_signature(text, signature, {two, one}).ok());
  EXPECT_EQ(*check_signature(text, signature, {one}), one);
  EXPECT_EQ(check_signature(text, signature, {two}).code(), StatusCode::kUntrusted);
  EXPECT_EQ(check_signature(text, signature, {}).code(), StatusCode::kUntrusted);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] ^= 1;
    ASSERT_EQ(check_signature(other, signature, {one}).code(), StatusCode::kUntrusted) << i;
  }
  // Another's name on it: the signature is not that key's.
  std::string renamed = signature;
  renamed.replace(19, 64, two.hex());
  EXPECT_EQ(check_signature(text, renamed, {one, two}).code(), StatusCode::kUntrusted);
}

TEST(Signature, EveryChangedByteOfItsFileIsRefused) {
  const std::string text = manifest_of(2).text();
  const std::string signature = sign(text, key_of('1'));
  const std::vector<PublicKey> trusted = {key_of('1').public_key()};
  for (size_t i = 0; i < signature.size(); ++i) {
    std::string other = signature;
    other[i] ^= 1;
    EXPECT_FALSE(check_signature(text, other, trusted).ok()) << i;
    EXPECT_FALSE(check_signature(text, signature.substr(0, i), trusted).ok()) << i;
  }
  EXPECT_FALSE(check_signature(text, signature + "\n", trusted).ok());
}

TEST(Signature, KeysAreMadeFreshAndReadBack) {
  const auto key = make_secret_key(), other = make_secret_key();
  ASSERT_TRUE(key.ok() && other.ok());
  EXPECT_FALSE(key->public_key() == other->public_key());
  const auto back = SecretKey::from_text(key->text());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->public_key(), key->public_key());
  for (const std::string& bad : {std::string(), key->text() + " ", key->text().substr(1)}) {
    EXPECT_EQ(SecretKey::from_text(bad).code(), StatusCode::kDamaged);
  }
}

TEST(Signature, ListsOfKeysAreReadWholeOrNotAtAll) {
  const std::string one = key_of('1').public_key().hex(), two = key_of('2').public_key().hex();
  EXPECT_EQ(parse_public_keys("")->size(), 0u);
  EXPECT_EQ(parse_public_keys(one + "," + two)->size(), 2u);
  for (const std::string& bad : {one + ",", "," + one, one + two, one + ", " + two, one + ":" + two,
                                 std::string("key"), one.substr(1)}) {
    EXPECT_EQ(parse_public_keys(bad).code(), StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace rmsjit
