// SPDX-License-Identifier: Apache-2.0
// list, prune, clear and remove, with other processes at work and clocks that lie.
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "tests/cache/scratch.h"

namespace rmsjit {
namespace {

using Kind = Lookup::Kind;
using Mode = DiskCache::Mode;
namespace fs = std::filesystem;

constexpr int64_t kHour = 3600;

// Entries 0..count-1; entry i was used (count - i) hours ago, so 0 is the oldest.
std::unique_ptr<DiskCache> filled(const std::string& dir, int count) {
  auto cache = open_cache(dir);
  for (int i = 0; i < count; ++i) {
    EXPECT_TRUE(cache->put(sample_entry(i)).ok());
    set_age(entry_path(dir, i), (count - i) * kHour);
  }
  return cache;
}

int64_t entry_bytes(const std::string& dir) {
  return static_cast<int64_t>(fs::file_size(entry_path(dir, 0)));
}

TEST(DiskCacheMaintain, ListIsSortedAndShowsEachEntryOnce) {
  Scratch scratch;
  auto cache = filled(scratch.dir(), 20);
  write_file(scratch.dir() + "/v1/obj/stray", "x");
  fs::create_directory(scratch.dir() + "/v1/obj/not-hex");
  write_file(fs::path(entry_path(scratch.dir(), 0)).parent_path() / "stray.rmsk", "x");
  for (bool verify : {false, true}) {
    const auto items = cache->list(verify);
    ASSERT_TRUE(items.ok());
    ASSERT_EQ(items->size(), 20u);
    for (size_t i = 0; i < items->size(); ++i) {
      const EntryListing& item = (*items)[i];
      EXPECT_TRUE(i == 0 || (*items)[i - 1].digest_hex < item.digest_hex);
      EXPECT_EQ(item.bytes, static_cast<int64_t>(fs::file_size(
                                entry_path(scratch.dir(), *Digest::from_hex(item.digest_hex)))));
      EXPECT_EQ(item.lookup.kind, verify ? Kind::kHit : Kind::kMiss);
      if (verify) {
        EXPECT_EQ(item.lookup.entry.digest().hex(), item.digest_hex);
      }
    }
  }
}

TEST(DiskCacheMaintain, VerifyFindsDamageAndSwappedEntries) {
  Scratch scratch;
  auto cache = filled(scratch.dir(), 4);
  write_file(entry_path(scratch.dir(), 0), "damage");
  fs::rename(entry_path(scratch.dir(), 1), scratch.path() + "/kept");
  fs::rename(entry_path(scratch.dir(), 2), entry_path(scratch.dir(), 1));
  fs::rename(scratch.path() + "/kept", entry_path(scratch.dir(), 2));
  int damaged = 0;
  const auto items = cache->list(true);
  for (const EntryListing& item : *items) damaged += item.lookup.kind == Kind::kDamaged ? 1 : 0;
  EXPECT_EQ(damaged, 3);
  EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kDamaged) << "another key under this name";
  EXPECT_EQ(cache->get(sample_key(3)).kind, Kind::kHit);
}

TEST(DiskCacheMaintain, UnreadableFolderIsListedAndTheRestToo) {
  Scratch scratch;
  auto cache = filled(scratch.dir(), 8);
  const std::string digest = sample_key(0).digest().hex();
  ASSERT_EQ(chmod((scratch.dir() + "/v1/obj/" + digest.substr(0, 2)).c_str(), 0777), 0);
  const auto items = cache->list(true);
  ASSERT_TRUE(items.ok());
  int unreadable = 0, hits = 0;
  for (const EntryListing& item : *items) {
    unreadable += item.lookup.kind == Kind::kUnreadable && item.digest_hex.size() == 2 ? 1 : 0;
    hits += item.lookup.kind == Kind::kHit ? 1 : 0;
  }
  EXPECT_EQ(unreadable, 1);
  EXPECT_GE(hits, 1);
}

TEST(DiskCacheMaintain, PruneRemovesTheLeastRecentlyUsed) {
  Scratch scratch;
  auto cache = filled(scratch.dir(), 10);
  const int64_t each = entry_bytes(scratch.dir());
  set_age(entry_path(scratch.dir(), 0), 0);  // used just now
  const auto before = listing(scratch.dir());
  const auto dry = cache->prune(4 * each, 0, true);
  ASSERT_TRUE(dry.ok());
  EXPECT_EQ(dry->entries_removed, 6);
  EXPECT_EQ(listing(scratch.dir()), before) << "a dry run touches nothing";
  const auto result = cache->prune(4 * each, 0, false);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->entries_before, 10);
  EXPECT_EQ(result->bytes_before, 10 * each);
  EXPECT_EQ(result->entries_removed, 6);
  EXPECT_EQ(result->bytes_removed, 6 * each);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(fs::exists(entry_path(scratch.dir(), i)), i == 0 || i >= 7) << i;
  }
  EXPECT_EQ(cache->prune(4 * each, 0, false)->entries_removed, 0);
}

TEST(DiskCacheMaintain, PruneKeepsYoungEntriesWhateverTheSize) {
  Scratch scratch;
  auto cache = filled(scratch.dir(), 10);
  EXPECT_EQ(cache->prune(0, 4 * kHour + 60, false)->entries_removed, 6);
  EXPECT_EQ(count_files(scratch.dir() + "/v1/obj"), 4);
}

TEST(DiskCacheMaintain, TimesFromTheFutureAndThePastArePrunedToo) {
  Scratch scratch;
  auto cache = filled(scratch.dir(), 3);
  set_age(entry_path(scratch.dir(), 0), -365 * 24 * kHour);
  set_age(entry_path(scratch.dir(), 1), time(nullptr));
  set_age(entry_path(scratch.dir(), 2), -60);  // an ordinary skew: just used
  const auto result = cache->prune(0, 600, false);
  EXPECT_EQ(result->entries_removed, 2);
  EXPECT_TRUE(fs::exists(entry_path(scratch.dir(), 2)));
}

TEST(DiskCacheMaintain, PruneSweepsOldTemporariesOnly) {
  Scratch scratch;
  auto cache = filled(scratch.dir(), 1);
  const std::string tmp = scratch.dir() + "/v1/tmp/";
  for (const char* name : {"1-1-aa.tmp", "1-2-aa.tmp", "notes"}) write_file(tmp + name, "x");
  set_age(tmp + "1-1-aa.tmp", 2 * kHour);
  set_age(tmp + "notes", 2 * kHour);
  EXPECT_EQ(cache->prune(1 << 20, 0, true)->stale_temporaries_removed, 1);
  EXPECT_EQ(cache->prune(1 << 20, 0, false)->stale_temporaries_removed, 1);
  EXPECT_FALSE(fs::exists(tmp + "1-1-aa.tmp"));
  EXPECT_TRUE(fs::exists(tmp + "1-2-aa.tmp"));
  EXPECT_TRUE(fs::exists(tmp + "notes"));
}

TEST(DiskCacheMaintain, ConcurrentPrunersRemoveNoMoreThanOne) {
  Scratch scratch;
  auto cache = filled(scratch.dir(), 60);
  const int64_t each = entry_bytes(scratch.dir());
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      const auto result = open_cache(scratch.dir())->prune(20 * each, 0, false);
      _exit(result.ok() && result->entries_failed == 0 ? 0 : 1);
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(count_files(scratch.dir() + "/v1/obj"), 20);
}

TEST(DiskCacheMaintain, SecondPrunerStandsBack) {
  Scratch scratch;
  auto cache = filled(scratch.dir(), 3);
  int ready[2], done[2];
  ASSERT_EQ(pipe(ready) | pipe(done), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(done[1]);
    const int fd = open((scratch.dir() + "/v1/lock").c_str(), O_RDWR | O_CREAT, 0600);
    struct flock whole {};
    whole.l_type = F_WRLCK;
    const bool held = fcntl(fd, F_OFD_SETLK, &whole) == 0;
    char byte = held ? 'y' : 'n';
    if (write(ready[1], &byte, 1) != 1) _exit(1);
    (void)!read(done[0], &byte, 1);
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
  const auto result = cache->prune(0, 0, false);
  EXPECT_TRUE(result->another_pruner);
  EXPECT_EQ(result->entries_removed, 0);
  close(done[1]);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(cache->prune(0, 0, false)->entries_removed, 3);
  for (int fd : {ready[0], ready[1], done[0]}) close(fd);
}

TEST(DiskCacheMaintain, LookupsSurvivePruneAndClear) {
  Scratch scratch;
  std::atomic<bool> stop{false};
  std::thread remover([&] {
    auto cache = open_cache(scratch.dir());
    for (int i = 0; !stop; ++i) {
      EXPECT_TRUE(i % 2 == 0 ? cache->prune(0, 0, false).ok() : cache->clear(false).ok());
    }
  });
  auto cache = open_cache(scratch.dir());
  for (int i = 0; i < 300; ++i) {
    const Status status = cache->put(sample_entry(i % 3));
    EXPECT_TRUE(status.ok() || status.code() == StatusCode::kIo) << status.message();
    const Lookup found = cache->get(sample_key(i % 3));
    EXPECT_TRUE(found.kind == Kind::kHit || found.kind == Kind::kMiss) << found.reason;
  }
  stop = true;
  remover.join();
}

TEST(DiskCacheMaintain, ClearRemovesEntriesAndTemporariesAndNothingElse) {
  Scratch scratch;
  auto cache = filled(scratch.dir(), 5);
  write_file(scratch.dir() + "/v1/tmp/1-1-aa.tmp", "x");
  write_file(scratch.dir() + "/notes", "kept");
  write_file(scratch.dir() + "/v1/obj/notes", "kept");
  write_file(fs::path(entry_path(scratch.dir(), 0)).parent_path() / "notes", "kept");
  write_file(scratch.dir() + "/v1/tmp/notes", "kept");
  fs::remove(entry_path(scratch.dir(), 4));
  fs::create_directory(entry_path(scratch.dir(), 4));
  const auto before = listing(scratch.dir());
  EXPECT_EQ(cache->clear(true)->entries_removed, 5);
  EXPECT_EQ(listing(scratch.dir()), before);
  const auto result = cache->clear(false);
  EXPECT_EQ(result->entries_removed, 5);
  EXPECT_EQ(result->entries_failed, 0);
  EXPECT_EQ(result->stale_temporaries_removed, 1);
  EXPECT_EQ(cache->list(false)->size(), 0u);
  EXPECT_EQ(count_files(scratch.dir()), 5) << "four notes and the tag";
}

TEST(DiskCacheMaintain, RemoveTakesOneEntry) {
  Scratch scratch;
  auto cache = filled(scratch.dir(), 2);
  EXPECT_TRUE(cache->remove(sample_key(0).digest()).ok());
  EXPECT_EQ(cache->remove(sample_key(0).digest()).code(), StatusCode::kNotFound);
  EXPECT_EQ(cache->remove(sample_key(9).digest()).code(), StatusCode::kNotFound);
  EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kHit);
}

}  // namespace
}  // namespace rmsjit
