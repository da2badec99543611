// SPDX-License-Identifier: Apache-2.0
// DiskCache: publish and look up, from many threads and processes, and the read-only layer.
#include "cache/disk_cache.h"

#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "tests/cache/scratch.h"

namespace rmsjit {
namespace {

using Kind = Lookup::Kind;
using Mode = DiskCache::Mode;
namespace fs = std::filesystem;

TEST(DiskCache, PublishedEntryIsAHitForEveryoneAndNothingElseStays) {
  Scratch scratch(Scratch::Where::kDisk);
  auto cache = open_cache(scratch.dir());
  EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kMiss);
  EXPECT_EQ(cache->get(sample_key(1)).reason, "");
  ASSERT_TRUE(cache->put(sample_entry(1)).ok());
  for (auto* reader : {cache.get(), open_cache(scratch.dir()).release()}) {
    const Lookup found = reader->get(sample_key(1));
    ASSERT_EQ(found.kind, Kind::kHit) << found.reason;
    EXPECT_TRUE(found.entry == sample_entry(1));
    EXPECT_EQ(reader->get(sample_key(2)).kind, Kind::kMiss);
    if (reader != cache.get()) delete reader;
  }
  EXPECT_EQ(read_file(entry_path(scratch.dir(), 1)), encode_entry(sample_entry(1)));
  EXPECT_TRUE(fs::is_empty(scratch.dir() + "/v1/tmp"));
  EXPECT_EQ(count_files(scratch.dir()), 2) << "the entry and CACHEDIR.TAG";
}

TEST(DiskCache, EverythingItMakesIsPrivate) {
  Scratch scratch;
  const mode_t umask_before = umask(0);
  ASSERT_TRUE(open_cache(scratch.dir())->put(sample_entry(1)).ok());
  open_cache(scratch.dir())->lock(sample_key(1).digest(), 0);
  umask(umask_before);
  EXPECT_TRUE(fs::exists(scratch.dir() + "/v1/lock"));
  for (const auto& item : fs::recursive_directory_iterator(scratch.path())) {
    struct stat facts {};
    ASSERT_EQ(lstat(item.path().c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 07777, item.is_directory() ? 0700u : 0600u) << item.path();
  }
}

TEST(DiskCache, FirstWriterWins) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  Entry first = sample_entry(1), second = sample_entry(1);
  first.metadata.nvrtc_version = "12.8";
  ASSERT_TRUE(cache->put(first).ok());
  const auto before = listing(scratch.dir() + "/v1/obj");
  ASSERT_TRUE(cache->put(second).ok()) << "losing is success";
  EXPECT_EQ(listing(scratch.dir() + "/v1/obj"), before);
  EXPECT_TRUE(cache->get(sample_key(1)).entry == first);
  EXPECT_TRUE(fs::is_empty(scratch.dir() + "/v1/tmp"));

  ASSERT_TRUE(cache->replace(second).ok());
  EXPECT_TRUE(cache->get(sample_key(1)).entry == second);
  EXPECT_TRUE(fs::is_empty(scratch.dir() + "/v1/tmp"));
}

TEST(DiskCache, ManyWritersOfOneKeyLeaveOneWholeEntry) {
  Scratch scratch;
  std::atomic<bool> stop{false};
  std::atomic<int> partial{0}, hits{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      auto cache = open_cache(scratch.dir());
      Entry mine = sample_entry(1, 60000);
      mine.metadata.registers = t;
      mine.image.assign(60000, static_cast<char>('a' + t));
      for (int i = 0; i < 40; ++i) {
        const Status status = i % 4 == 0 ? cache->replace(mine) : cache->put(mine);
        EXPECT_TRUE(status.ok()) << status.message();
      }
    });
  }
  std::thread reader([&] {
    auto cache = open_cache(scratch.dir());
    while (!stop) {
      const Lookup found = cache->get(sample_key(1));
      if (found.kind == Kind::kMiss) continue;
      if (found.kind != Kind::kHit) ++partial;
      const char expected = static_cast<char>('a' + found.entry.metadata.registers);
      if (found.entry.image != std::string(60000, expected)) ++partial;
      ++hits;
    }
  });
  for (auto& thread : threads) thread.join();
  stop = true;
  reader.join();
  EXPECT_EQ(partial, 0);
  EXPECT_EQ(count_files(scratch.dir() + "/v1/obj"), 1);
  EXPECT_TRUE(fs::is_empty(scratch.dir() + "/v1/tmp"));
}

TEST(DiskCache, EntryThatWouldNotReadBackIsRefused) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  Entry no_image = sample_entry(1), bad_text = sample_entry(1), long_target = sample_entry(1);
  no_image.image.clear();
  bad_text.metadata.nvrtc_build = "\xff";
  long_target.target = std::string(30, 'a');
  for (const Entry& entry : {no_image, bad_text, long_target}) {
    EXPECT_EQ(cache->put(entry).code(), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(cache->list(false)->size(), 0u);
}

TEST(DiskCache, ReadOnlyLayerIsNeverTouched) {
  Scratch scratch;
  {
    auto writer = open_cache(scratch.dir());
    ASSERT_TRUE(writer->put(sample_entry(1)).ok());
    ASSERT_TRUE(writer->put(sample_entry(2)).ok());
  }
  write_file(entry_path(scratch.dir(), 2), "damage");
  write_file(scratch.dir() + "/v1/tmp/1-2-3.tmp", "left over");
  set_age(scratch.dir() + "/v1/tmp/1-2-3.tmp", 1000000);
  set_age(entry_path(scratch.dir(), 1), 1000000);
  const auto before = listing(scratch.path());
  {
    auto bundle = open_cache(scratch.dir(), Mode::kReadOnly);
    EXPECT_EQ(bundle->get(sample_key(1)).kind, Kind::kHit);
    EXPECT_EQ(bundle->get(sample_key(2)).kind, Kind::kDamaged);
    EXPECT_EQ(bundle->get(sample_key(3)).kind, Kind::kMiss);
    EXPECT_EQ(bundle->list(true)->size(), 2u);
    EXPECT_FALSE(bundle->lock(sample_key(1).digest(), 0).held());
    EXPECT_EQ(bundle->put(sample_entry(3)).code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(bundle->replace(sample_entry(1)).code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(bundle->prune(0, 0, false).code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(bundle->clear(false).code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(bundle->remove(sample_key(1).digest()).code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(bundle->prune(0, 0, true)->entries_removed, 2);
    EXPECT_EQ(bundle->clear(true)->entries_removed, 2);
  }
  EXPECT_EQ(listing(scratch.path()), before);
}

TEST(DiskCache, MissingBundleIsNotFoundAndNotMade) {
  Scratch scratch;
  EXPECT_EQ(DiskCache::open(scratch.dir(), Mode::kReadOnly).code(), StatusCode::kNotFound);
  EXPECT_FALSE(fs::exists(scratch.dir()));
  fs::create_directory(scratch.dir());
  EXPECT_EQ(DiskCache::open(scratch.dir(), Mode::kReadOnly).code(), StatusCode::kNotFound);
  EXPECT_TRUE(fs::is_empty(scratch.dir()));
}

TEST(DiskCache, ForkWhileOtherThreadsAreInTheCacheIsHarmless) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's own locks do not survive a fork beside busy threads";
#endif
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; !stop; ++i) {
        EXPECT_TRUE(cache->put(sample_entry(t)).ok());
        EXPECT_EQ(cache->get(sample_key(t)).kind, Kind::kHit);
        if (i % 8 == 0) {
          EXPECT_TRUE(cache->remove(sample_key(t).digest()).ok());
        }
      }
    });
  }
  for (int i = 0; i < 40; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);  // a deadlock ends here
      const bool good = cache->put(sample_entry(50)).ok() &&
                        cache->get(sample_key(50)).kind == Kind::kHit &&
                        cache->lock(sample_key(50).digest(), 0).held();
      _exit(good ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  stop = true;
  for (auto& thread : threads) thread.join();
}

TEST(DiskCache, HitRefreshesAnOldTimeOfLastUseOnly) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  ASSERT_TRUE(cache->put(sample_entry(1)).ok());
  const std::string path = entry_path(scratch.dir(), 1);
  for (int64_t age : {int64_t{7 * 3600}, int64_t{-1000000}, int64_t{time(nullptr)}}) {
    set_age(path, age);
    ASSERT_EQ(cache->get(sample_key(1)).kind, Kind::kHit);
    EXPECT_LT(std::abs(age_of(path)), 100) << age;
  }
  set_age(path, 3600);
  ASSERT_EQ(cache->get(sample_key(1)).kind, Kind::kHit);
  EXPECT_NEAR(static_cast<double>(age_of(path)), 3600, 100) << "a recent one stays";
}

}  // namespace
}  // namespace rmsjit
