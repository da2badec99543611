// SPDX-License-Identifier: Apache-2.0
// The entry format: what is written is pinned byte for byte, and no other bytes are read.
#include "cache/entry_format.h"

#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "gtest/gtest.h"
#include "tests/cache/scratch.h"

namespace rmsjit {
namespace {

using nlohmann::json;

std::string le(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

std::string raw(const Digest& digest) {
  return std::string(digest.bytes.begin(), digest.bytes.end());
}

// The grammar of entry_format.h written a second time, with every part open to change.
struct Parts {
  std::string magic = std::string("\x89RMSK\r\n\x1a", 8);
  uint32_t version = 1, header_bytes = 96;
  int64_t file_bytes_off = 0, metadata_bytes_off = 0, image_bytes_off = 0;
  std::string key_text = sample_key(1).text();
  std::string digest;  // empty: the right one
  std::string target = "sm_90";
  json metadata = {{"key_text", sample_key(1).text()},
                   {"spec_text", "hidden=1"},
                   {"tuning_text", "threads=128"},
                   {"options", "--std=c++17"},
                   {"nvrtc_version", "13.0"},
                   {"nvrtc_build", "release 13.0, V13.0.88"},
                   {"library_version", "0.1.0"},
                   {"template_digest", std::string(64, 'a')},
                   {"registers", 40},
                   {"spill_bytes", 0},
                   {"stack_bytes", 0},
                   {"shared_bytes", 512}};
  std::string metadata_text;  // empty: of metadata
  char padding = '\0';
  std::string image = sample_entry(1).image;

  std::string bytes() const {
    const std::string text = metadata_text.empty() ? metadata.dump() : metadata_text;
    std::string out = magic + le(version, 4) + le(header_bytes, 4);
    const size_t padded = (96 + text.size() + 63) / 64 * 64;
    out += le(padded + image.size() + 32 + static_cast<uint64_t>(file_bytes_off), 8);
    out += le(text.size() + static_cast<uint64_t>(metadata_bytes_off), 8);
    out += le(image.size() + static_cast<uint64_t>(image_bytes_off), 8);
    out += digest.empty() ? raw(sha256(key_text)) : digest;
    out += target + std::string(24 - target.size(), '\0');
    out += text;
    out.resize(padded, padding);
    out += image;
    return out + raw(sha256(out));
  }
};

TEST(EntryFormat, BytesFollowTheGrammar) {
  EXPECT_EQ(encode_entry(sample_entry(1)), Parts().bytes());
}

TEST(EntryFormat, GoldenBytes) {
  // Changing this digest is a new format version: see the history in entry_format.h.
  EXPECT_EQ(sha256(encode_entry(sample_entry(1))).hex(),
            "a87f14ff30045ad774f61be18a6f1c0b9ffbd66d28931ef002eb81748ab09636");
}

TEST(EntryFormat, RoundTripsAndEqualEntriesGiveEqualBytes) {
  for (size_t image_bytes : {1, 31, 32, 63, 64, 65, 4096, 100000}) {
    const Entry entry = sample_entry(7, image_bytes);
    const std::string bytes = encode_entry(entry);
    EXPECT_EQ(bytes, encode_entry(sample_entry(7, image_bytes)));
    const Result<Entry> back = decode_entry(bytes);
    ASSERT_TRUE(back.ok()) << back.message();
    EXPECT_TRUE(*back == entry);
  }
}

TEST(EntryFormat, EveryTruncationIsDamaged) {
  const std::string bytes = encode_entry(sample_entry(1));
  for (size_t length = 0; length < bytes.size(); ++length) {
    ASSERT_EQ(decode_entry(std::string_view(bytes).substr(0, length)).code(), StatusCode::kDamaged)
        << length;
  }
}

TEST(EntryFormat, EveryFlippedHeaderBitIsDamaged) {
  const std::string bytes = encode_entry(sample_entry(1));
  for (size_t i = 0; i < 96; ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = bytes;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      ASSERT_EQ(decode_entry(bad).code(), StatusCode::kDamaged) << i << "." << bit;
    }
  }
}

TEST(EntryFormat, RandomFlippedBitsAreDamaged) {
  const std::string bytes = encode_entry(sample_entry(1));
  std::mt19937 random(2);
  for (int i = 0; i < 2000; ++i) {
    std::string bad = bytes;
    const size_t at = random() % bad.size();
    bad[at] = static_cast<char>(bad[at] ^ (1 << (random() % 8)));
    ASSERT_EQ(decode_entry(bad).code(), StatusCode::kDamaged) << at;
  }
}

TEST(EntryFormat, AppendedZeroedAndForeignBytesAreDamaged) {
  const std::string bytes = encode_entry(sample_entry(1));
  EXPECT_EQ(decode_entry(bytes + '\0').code(), StatusCode::kDamaged);
  EXPECT_EQ(decode_entry(bytes + bytes).code(), StatusCode::kDamaged);
  EXPECT_EQ(decode_entry(std::string(bytes.size(), '\0')).code(), StatusCode::kDamaged);
  std::string hole = bytes;
  hole.replace(512, 1024, 1024, '\0');
  EXPECT_EQ(decode_entry(hole).code(), StatusCode::kDamaged);
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string noise(random() % 400, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    ASSERT_EQ(decode_entry(noise).code(), StatusCode::kDamaged);
  }
}

struct BadPart {
  const char* message;  // a piece of the sentence
  std::function<void(Parts*)> change;
};

// Each of these has a right checksum, so only the check that the message names can refuse it.
TEST(EntryFormat, EachCheckRefusesWhatItNames) {
  const BadPart kBad[] = {
      {"magic", [](Parts* p) { p->magic[1] = 'X'; }},
      {"format version 0", [](Parts* p) { p->version = 0; }},
      {"format version 2", [](Parts* p) { p->version = 2; }},
      {"sizes disagree", [](Parts* p) { p->header_bytes = 128; }},
      {"bytes long", [](Parts* p) { p->file_bytes_off = 1; }},
      {"sizes disagree", [](Parts* p) { p->metadata_bytes_off = 64; }},
      {"sizes disagree", [](Parts* p) { p->metadata_bytes_off = -1000; }},
      {"sizes disagree", [](Parts* p) { p->image_bytes_off = -1; }},
      {"sizes disagree", [](Parts* p) { p->image_bytes_off = INT64_MAX; }},
      // 2^63 too long each: their sum is right again.
      {"sizes disagree", [](Parts* p) { p->metadata_bytes_off = p->image_bytes_off = INT64_MIN; }},
      {"sizes disagree", [](Parts* p) { p->image.clear(); }},
      {"digest", [](Parts* p) { p->digest = std::string(32, 'd'); }},
      {"digest", [](Parts* p) { p->metadata["key_text"] = sample_key(2).text(); }},
      {"target", [](Parts* p) { p->target.clear(); }},
      {"target", [](Parts* p) { p->target = "SM_90"; }},
      {"target", [](Parts* p) { p->target = std::string("sm\0_90", 6); }},
      {"padding", [](Parts* p) { p->padding = 'x'; }},
      {"not a JSON object", [](Parts* p) { p->metadata_text = "[]"; }},
      {"not a JSON object", [](Parts* p) { p->metadata_text = "{"; }},
      {"not a JSON object", [](Parts* p) { p->metadata_text = std::string(200000, '['); }},
      {"not a JSON object", [](Parts* p) { p->metadata_text = "{\"a\":\"\xff\"}"; }},
  };
  for (const BadPart& bad : kBad) {
    Parts parts;
    bad.change(&parts);
    const Result<Entry> entry = decode_entry(parts.bytes());
    ASSERT_EQ(entry.code(), StatusCode::kDamaged) << bad.message;
    EXPECT_NE(entry.message().find(bad.message), std::string::npos) << entry.message();
  }
}

TEST(EntryFormat, EveryMetadataNameIsRequiredWithItsType) {
  const json good = Parts().metadata;
  for (const auto& [name, value] : good.items()) {
    Parts missing;
    missing.metadata.erase(name);
    EXPECT_EQ(decode_entry(missing.bytes()).code(), StatusCode::kDamaged) << name;
    for (const json& other :
         {json(nullptr), json(true), json(1.5), json(-1), json::array(), json::object(),
          json(uint64_t{1} << 31), json(std::numeric_limits<uint64_t>::max())}) {
      Parts wrong;
      wrong.metadata[name] = other;
      EXPECT_EQ(decode_entry(wrong.bytes()).code(), StatusCode::kDamaged) << name << other.dump();
    }
    Parts swapped;
    swapped.metadata[name] = value.is_string() ? json(1) : json("1");
    EXPECT_EQ(decode_entry(swapped.bytes()).code(), StatusCode::kDamaged) << name;
  }
}

TEST(EntryFormat, UnknownMetadataNamesAreTolerated) {
  Parts parts;
  parts.metadata["from_the_future"] = {{"deep", {1, 2, 3}}};
  const Result<Entry> entry = decode_entry(parts.bytes());
  ASSERT_TRUE(entry.ok()) << entry.message();
  EXPECT_TRUE(*entry == sample_entry(1));
}

TEST(EntryFormat, DeeplyNestedUnknownMetadataIsHarmless) {
  Parts parts;
  std::string text = parts.metadata.dump();
  text.pop_back();
  text += ",\"x\":" + std::string(200000, '[') + std::string(200000, ']') + "}";
  parts.metadata_text = text;
  EXPECT_TRUE(decode_entry(parts.bytes()).ok());
}

}  // namespace
}  // namespace rmsjit
