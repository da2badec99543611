// SPDX-License-Identifier: Apache-2.0
// A signed directory: what its manifest says of every change that can be made to it, and that it is
// left alone by everything that writes.
#include <unistd.h>

#include "tests/cache/scratch.h"

namespace rmsjit {
namespace {

using Kind = Lookup::Kind;
using Mode = DiskCache::Mode;
namespace fs = std::filesystem;

class SignedCache : public testing::Test {
 protected:
  void SetUp() override {
    auto cache = open_cache(scratch_.dir());
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(cache->put(sample_entry(i)).ok());
    const Result<Manifest> manifest = cache->write_signature(key_);
    ASSERT_TRUE(manifest.ok()) << manifest.message();
    EXPECT_EQ(manifest->items.size(), 3u);
  }
  // Why entry `number` is not as signed, by the manifest that is there now.
  std::string why(int number) {
    auto bundle = open_cache(scratch_.dir(), Mode::kSigned);
    const Result<Manifest> manifest = bundle->trusted_manifest({key_.public_key()});
    if (!manifest.ok()) return "manifest: " + manifest.message();
    return DiskCache::why_not_signed(*manifest, sample_key(number).digest(),
                                     bundle->get(sample_key(number)));
  }
  Status trust() {
    return open_cache(scratch_.dir(), Mode::kSigned)
        ->trusted_manifest({key_.public_key()})
        .status();
  }

  Scratch scratch_;
  const SecretKey key_ = *make_secret_key();
  const std::string manifest_ = scratch_.dir() + "/v1/MANIFEST";
  const std::string signature_ = manifest_ + ".sig";
};

TEST_F(SignedCache, EveryEntryIsAsSigned) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(why(i), "");
  EXPECT_EQ(why(7), "") << "an entry that nobody has is a plain miss";
}

TEST_F(SignedCache, AnEntryThatWasAddedChangedSwappedOrTakenShows) {
  const std::string changed = entry_path(scratch_.dir(), 0);
  Entry other = sample_entry(0);
  other.image[5] ^= 1;
  write_file(changed, encode_entry(other));  // whole, of the same key, under its own checksum
  EXPECT_EQ(open_cache(scratch_.dir(), Mode::kReadOnly)->get(sample_key(0)).kind, Kind::kHit);
  EXPECT_NE(why(0).find("not the one that was signed"), std::string::npos) << why(0);
  write_file(changed, encode_entry(sample_entry(0)));
  EXPECT_EQ(why(0), "");

  const std::string added = entry_path(scratch_.dir(), 7);
  fs::create_directories(fs::path(added).parent_path());
  write_file(added, encode_entry(sample_entry(7)));
  EXPECT_NE(why(7).find("not in the signed manifest"), std::string::npos) << why(7);

  fs::remove(entry_path(scratch_.dir(), 1));
  EXPECT_NE(why(1).find("not here"), std::string::npos) << why(1);

  fs::copy_file(entry_path(scratch_.dir(), 2), changed, fs::copy_options::overwrite_existing);
  EXPECT_NE(why(0), "") << "the bytes of another entry";
  EXPECT_EQ(why(2), "");
}

TEST_F(SignedCache, EveryChangedByteOfManifestOrSignatureIsRefused) {
  for (const std::string& path : {manifest_, signature_}) {
    const std::string good = read_file(path);
    for (size_t i = 0; i < good.size(); ++i) {
      std::string bad = good;
      bad[i] ^= 1;
      write_file(path, bad);
      ASSERT_FALSE(trust().ok()) << path << " byte " << i;
    }
    write_file(path, good);
    ASSERT_TRUE(trust().ok());
  }
}

TEST_F(SignedCache, FilesThatAreMissingOrNoFilesAreRefusedWithoutAHang) {
  for (const std::string& path : {manifest_, signature_}) {
    const std::string good = read_file(path);
    fs::remove(path);
    EXPECT_EQ(trust().code(), StatusCode::kNotFound);
    fs::create_directory(path);
    EXPECT_FALSE(trust().ok());
    fs::remove(path);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    EXPECT_FALSE(trust().ok());
    fs::remove(path);
    fs::create_symlink("/etc/passwd", path);
    EXPECT_FALSE(trust().ok());
    fs::remove(path);
    write_file(path, std::string(17 << 20, 'x'));
    EXPECT_EQ(trust().code(), StatusCode::kDamaged);
    write_file(path, good);
    EXPECT_TRUE(trust().ok());
  }
}

TEST_F(SignedCache, IsChangedByNothingUntilItsSignatureIsRemoved) {
  auto cache = open_cache(scratch_.dir());
  const auto before = listing(scratch_.path());
  EXPECT_EQ(cache->put(sample_entry(7)).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(cache->replace(sample_entry(0)).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(cache->remove(sample_key(0).digest()).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(cache->prune(0, 0, false).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(cache->clear(false).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(listing(scratch_.path()), before);
  EXPECT_TRUE(cache->prune(0, 0, true).ok()) << "a dry run changes nothing";
  ASSERT_TRUE(cache->remove_signature().ok());
  EXPECT_FALSE(fs::exists(manifest_));
  EXPECT_FALSE(fs::exists(signature_));
  EXPECT_TRUE(cache->put(sample_entry(7)).ok());
  EXPECT_TRUE(cache->remove_signature().ok()) << "there is none";
}

TEST_F(SignedCache, WhatEverybodyCanWriteIsReadWhereTheSignatureDecides) {
  ASSERT_EQ(chmod((scratch_.dir() + "/v1").c_str(), 0777), 0);
  EXPECT_EQ(DiskCache::open(scratch_.dir(), Mode::kReadOnly).code(), StatusCode::kUntrusted);
  EXPECT_EQ(why(0), "");
}

TEST_F(SignedCache, DamagedEntriesAreNotSigned) {
  auto cache = open_cache(scratch_.dir());
  ASSERT_TRUE(cache->remove_signature().ok());
  const std::string path = entry_path(scratch_.dir(), 1);
  write_file(path, read_file(path) + "x");
  const Result<Manifest> manifest = cache->write_signature(key_);
  EXPECT_EQ(manifest.code(), StatusCode::kDamaged);
  EXPECT_NE(manifest.message().find(sample_key(1).digest().hex()), std::string::npos);
  EXPECT_FALSE(fs::exists(manifest_));
}

TEST_F(SignedCache, SigningAgainGivesTheSameFiles) {
  const std::string manifest = read_file(manifest_), signature = read_file(signature_);
  ASSERT_TRUE(open_cache(scratch_.dir())->write_signature(key_).ok());
  EXPECT_EQ(read_file(manifest_), manifest);
  EXPECT_EQ(read_file(signature_), signature);
  EXPECT_TRUE(fs::is_empty(scratch_.dir() + "/v1/tmp"));
}

}  // namespace
}  // namespace rmsjit
