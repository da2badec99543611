// SPDX-License-Identifier: Apache-2.0
// CacheKey and Digest: equal fields give equal digests, and nothing else does.
#include "cache/cache_key.h"

#include <sodium/crypto_hash_sha256.h>

#include <random>
#include <set>
#include <string>

#include "gtest/gtest.h"

namespace rmsjit {
namespace {

CacheKey full_key() {
  CacheKey key;
  key.add("schema", "1").add("template", "abc").add("spec.cuh", "struct Spec {};\n");
  key.add("target", "sm_90").add("image", "cubin-13").add("options", "").add("params", "1");
  return key;
}

TEST(CacheKey, DigestIsPinned) {
  EXPECT_EQ(sha256("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc").hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(CacheKey().add("target", "sm_90").text(), "6:target=5:sm_90\n");
}

// The processor's own instructions, where this machine has them, against libsodium.
TEST(Digest, Sha256IsLibsodiumsForEveryLength) {
  std::mt19937 random(7);
  std::string bytes(70000, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  for (size_t length = 0; length <= bytes.size(); length += length < 300 ? 1 : 6971) {
    Digest expected;
    crypto_hash_sha256(expected.bytes.data(), reinterpret_cast<const unsigned char*>(bytes.data()),
                       length);
    EXPECT_EQ(sha256(std::string_view(bytes).substr(0, length)).hex(), expected.hex()) << length;
  }
}

TEST(CacheKey, ChangingAnyByteOfAnyFieldChangesTheDigest) {
  const CacheKey key = full_key();
  std::set<std::string> digests = {key.digest().hex()};
  size_t variants = 1;
  for (size_t f = 0; f < key.fields.size(); ++f) {
    for (std::string CacheKey::Field::*member :
         {&CacheKey::Field::label, &CacheKey::Field::value}) {
      for (size_t i = 0; i < (key.fields[f].*member).size(); ++i) {
        CacheKey other = key;
        (other.fields[f].*member)[i] ^= 1;
        digests.insert(other.digest().hex());
        ++variants;
      }
      CacheKey longer = key;
      (longer.fields[f].*member) += 'x';
      digests.insert(longer.digest().hex());
      ++variants;
    }
    CacheKey fewer = key;
    fewer.fields.erase(fewer.fields.begin() + static_cast<long>(f));
    digests.insert(fewer.digest().hex());
    ++variants;
  }
  EXPECT_EQ(digests.size(), variants);
  EXPECT_EQ(full_key().digest(), key.digest());
}

TEST(CacheKey, FieldsCannotCollideByConcatenation) {
  const std::string two = CacheKey().add("a", "1").add("b", "2").text();
  for (const char* value : {"1\n1:b=2", "1\n1:b=1:2", "1\nb=2"}) {
    EXPECT_NE(CacheKey().add("a", value).text(), two) << value;
  }
  // Every way to cut the same bytes into fields is another key.
  const std::string bytes = "1:a=1:b\n";
  std::set<std::string> texts;
  size_t cuts = 0;
  for (size_t i = 0; i <= bytes.size(); ++i) {
    for (size_t j = i; j <= bytes.size(); ++j) {
      texts.insert(CacheKey().add(bytes.substr(0, i), bytes.substr(i, j - i)).text());
      texts.insert(CacheKey()
                       .add(bytes.substr(0, i), bytes.substr(i, j - i))
                       .add(bytes.substr(j), "")
                       .text());
      cuts += 2;
    }
  }
  // Cuts with the same first two parts and nothing left give one text once.
  size_t distinct_first = 0;
  std::set<std::pair<std::string, std::string>> firsts;
  for (size_t i = 0; i <= bytes.size(); ++i) {
    for (size_t j = i; j <= bytes.size(); ++j) {
      firsts.insert({bytes.substr(0, i), bytes.substr(i, j - i)});
    }
  }
  distinct_first = firsts.size();
  EXPECT_EQ(texts.size(), 2 * distinct_first);
  EXPECT_EQ(cuts, texts.size());
}

TEST(CacheKey, TextRoundTrips) {
  CacheKey key = full_key();
  key.add("", "").add("lines", "a\nb=1:c\n").add(std::string("nul\0", 4), std::string(1000, ':'));
  const Result<CacheKey> back = CacheKey::from_text(key.text());
  ASSERT_TRUE(back.ok()) << back.message();
  EXPECT_EQ(back->fields, key.fields);
  const Result<CacheKey> empty = CacheKey::from_text("");
  ASSERT_TRUE(empty.ok());
  EXPECT_TRUE(empty->fields.empty());
}

TEST(CacheKey, EveryOtherTextIsDamagedOrAnotherKey) {
  const std::string text = full_key().text();
  for (size_t length = 1; length < text.size(); ++length) {
    const Result<CacheKey> cut = CacheKey::from_text(text.substr(0, length));
    if (cut.ok()) {
      EXPECT_EQ(cut->text(), text.substr(0, length));
    } else {
      EXPECT_EQ(cut.code(), StatusCode::kDamaged);
    }
  }
  for (const char* bad : {"1:a=1:b", "01:a=1:b\n", "1:a=01:b\n", "1:a=2:b\n", ":a=1:b\n",
                          "1:a 1:b\n", "-1:a=1:b\n", "9999999999:a=1:b\n", "1:a=1:b\n\n"}) {
    EXPECT_EQ(CacheKey::from_text(bad).code(), StatusCode::kDamaged) << bad;
  }
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string other = text;
    other[random() % other.size()] ^= static_cast<char>(1u << (random() % 8));
    const Result<CacheKey> parsed = CacheKey::from_text(other);
    if (parsed.ok()) {
      ASSERT_EQ(parsed->text(), other);
    }
  }
}

TEST(Digest, HexRoundTripsAndRefusesEverythingElse) {
  const Digest digest = sha256("x");
  const Result<Digest> back = Digest::from_hex(digest.hex());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, digest);
  const std::string hex = digest.hex();
  for (const std::string& bad :
       {std::string(), hex.substr(1), hex + "0", std::string(63, '0') + "G",
        std::string(63, '0') + "A", "0x" + hex.substr(2), std::string(64, ' ')}) {
    EXPECT_EQ(Digest::from_hex(bad).code(), StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace rmsjit
