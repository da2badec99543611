// SPDX-License-Identifier: Apache-2.0
// DiskCache on directories that are odd, full, limited, or change underneath.
#include <sys/mount.h>
#include <sys/resource.h>

#include <atomic>
#include <thread>

#include "tests/cache/scratch.h"

namespace rmsjit {
namespace {

using Kind = Lookup::Kind;
using Mode = DiskCache::Mode;
namespace fs = std::filesystem;

TEST(DiskCacheDirectory, PathThatIsAFileIsAnErrorThatNamesIt) {
  Scratch scratch;
  write_file(scratch.dir(), "a file");
  for (const std::string& path : {scratch.dir(), scratch.dir() + "/below"}) {
    for (Mode mode : {Mode::kReadWrite, Mode::kReadOnly}) {
      const auto cache = DiskCache::open(path, mode);
      EXPECT_EQ(cache.code(), StatusCode::kIo);
      EXPECT_NE(cache.message().find(path), std::string::npos) << cache.message();
    }
  }
  EXPECT_EQ(read_file(scratch.dir()), "a file");
}

TEST(DiskCacheDirectory, DirectoryMayBeASymbolicLink) {
  Scratch scratch;
  fs::create_directory(scratch.path() + "/real");
  fs::create_directory_symlink(scratch.path() + "/real", scratch.dir());
  ASSERT_TRUE(open_cache(scratch.dir())->put(sample_entry(1)).ok());
  EXPECT_TRUE(fs::exists(entry_path(scratch.path() + "/real", 1)));
}

TEST(DiskCacheDirectory, TagIsWrittenOnlyIntoADirectoryOfItsOwn) {
  Scratch scratch;
  write_file(scratch.path() + "/notes", "somebody's");
  open_cache(scratch.path());
  EXPECT_FALSE(fs::exists(scratch.path() + "/CACHEDIR.TAG"));
  open_cache(scratch.dir() + "/a/b");
  EXPECT_EQ(read_file(scratch.dir() + "/a/b/CACHEDIR.TAG").substr(0, 43),
            "Signature: 8a477f597d28d172789f06886806bc55");
}

TEST(DiskCacheDirectory, DirectoryRemovedWhileOpenIsMadeAgain) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  ASSERT_TRUE(cache->put(sample_entry(1)).ok());
  for (const char* part : {"", "/v1", "/v1/obj", "/v1/tmp"}) {
    fs::remove_all(scratch.dir() + part);
    EXPECT_NE(cache->get(sample_key(1)).kind, Kind::kDamaged);
    EXPECT_TRUE(cache->list(true).ok());
    EXPECT_TRUE(cache->prune(0, 1000, false).ok());
    EXPECT_TRUE(cache->lock(sample_key(1).digest(), 0).held());
    const Status status = cache->put(sample_entry(1));
    ASSERT_TRUE(status.ok()) << part << ": " << status.message();
    EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kHit) << part;
    EXPECT_TRUE(fs::exists(entry_path(scratch.dir(), 1))) << part;
  }
}

TEST(DiskCacheDirectory, DirectoryReplacedByAFileDegradesToAnError) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  fs::remove_all(scratch.dir());
  write_file(scratch.dir(), "a file");
  EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kMiss);
  EXPECT_EQ(cache->put(sample_entry(1)).code(), StatusCode::kIo);
  EXPECT_FALSE(cache->lock(sample_key(1).digest(), 0).held());
  EXPECT_EQ(read_file(scratch.dir()), "a file");
}

TEST(DiskCacheDirectory, DirectoryRemovedInALoopNeverShowsAnythingPartial) {
  Scratch scratch;
  std::atomic<bool> stop{false};
  std::thread remover([&] {
    std::error_code ignored;
    while (!stop) fs::remove_all(scratch.dir(), ignored);
  });
  auto cache = DiskCache::open(scratch.dir(), Mode::kReadWrite);
  for (int i = 0; i < 200; ++i) {
    if (!cache.ok()) cache = DiskCache::open(scratch.dir(), Mode::kReadWrite);
    if (!cache.ok()) continue;
    const Status status = (*cache)->put(sample_entry(1));
    EXPECT_TRUE(status.ok() || status.code() == StatusCode::kIo) << status.message();
    const Kind kind = (*cache)->get(sample_key(1)).kind;
    EXPECT_TRUE(kind == Kind::kHit || kind == Kind::kMiss);
  }
  stop = true;
  remover.join();
}

TEST(DiskCacheDirectory, BundleReplacedWhileOpenIsFoundAgain) {
  Scratch scratch;
  ASSERT_TRUE(open_cache(scratch.dir())->put(sample_entry(1)).ok());
  auto bundle = open_cache(scratch.dir(), Mode::kReadOnly);
  fs::remove_all(scratch.dir());
  EXPECT_EQ(bundle->get(sample_key(1)).kind, Kind::kMiss);
  EXPECT_FALSE(fs::exists(scratch.dir())) << "a reader makes nothing";
  ASSERT_TRUE(open_cache(scratch.dir())->put(sample_entry(2)).ok());
  EXPECT_EQ(bundle->get(sample_key(2)).kind, Kind::kHit);
}

TEST(DiskCacheDirectory, FileSizeLimitIsAnErrorAndNoSignal) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 1024;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status status = cache->put(sample_entry(1));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(status.code(), StatusCode::kIo);
  EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kMiss);
  EXPECT_TRUE(fs::is_empty(scratch.dir() + "/v1/tmp"));
}

TEST(DiskCacheDirectory, FullDiskIsAnErrorThatLeavesNothing) {
  Scratch scratch;
  const std::string mount_point = scratch.path() + "/small";
  fs::create_directory(mount_point);
  if (mount("tmpfs", mount_point.c_str(), "tmpfs", 0, "size=64k,mode=0700") != 0) {
    GTEST_SKIP() << "cannot mount a tmpfs: " << std::generic_category().message(errno);
  }
  {
    auto cache = open_cache(mount_point);
    ASSERT_TRUE(cache->put(sample_entry(1)).ok());
    const Status status = cache->put(sample_entry(2, 200000));
    EXPECT_EQ(status.code(), StatusCode::kIo);
    EXPECT_NE(status.message().find("No space left"), std::string::npos) << status.message();
    EXPECT_EQ(cache->get(sample_key(2)).kind, Kind::kMiss);
    EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kHit);
    EXPECT_TRUE(fs::is_empty(mount_point + "/v1/tmp"));
    EXPECT_TRUE(cache->put(sample_entry(3)).ok()) << "small ones still fit";

    // The same volume gone read-only: hits serve, writing is an error.
    ASSERT_EQ(mount("tmpfs", mount_point.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, ""), 0);
  }
  {
    auto cache = open_cache(mount_point);
    EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kHit);
    EXPECT_EQ(cache->put(sample_entry(4)).code(), StatusCode::kIo);
    EXPECT_TRUE(cache->prune(0, 0, false).ok());
    EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kHit);
  }
  EXPECT_EQ(umount(mount_point.c_str()), 0);
}

}  // namespace
}  // namespace rmsjit
