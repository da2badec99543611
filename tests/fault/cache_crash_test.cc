// SPDX-License-Identifier: Apache-2.0
// A process that dies at any step of a publish leaves the entry absent or whole, and the next one
// needs no repair. What a power cut may lose is bounded by the order of the calls.
#include <sys/wait.h>

#include <algorithm>
#include <functional>

#include "tests/cache/scratch.h"
#include "tests/fault/fault.h"

namespace rmsjit {
namespace {

using fault::Call;
using fault::Effect;
using fault::Plan;
using fault::Report;
using Kind = Lookup::Kind;
namespace fs = std::filesystem;

// Runs `act` in a child that dies at step `at`; false when it came to its end first.
bool dies_at(int at, const std::function<void()>& act) {
  const pid_t child = fork();
  if (child == 0) {
    fault::arm({Effect::kKill, at});
    act();
    _exit(0);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  return WEXITSTATUS(status) == fault::kKilled;
}

TEST(CacheCrash, PublishKilledAtAnyStepIsAbsentOrWhole) {
  for (bool damaged : {false, true}) {
    int steps = 0, seen_absent = 0, seen_whole = 0;
    for (bool killed = true; killed; ++steps) {
      SCOPED_TRACE(steps);
      Scratch scratch;
      if (damaged) {
        ASSERT_TRUE(open_cache(scratch.dir())->put(sample_entry(1)).ok());
        write_file(entry_path(scratch.dir(), 1), "damage");
      }
      killed = dies_at(steps + 1, [&] {
        auto cache = DiskCache::open(scratch.dir(), DiskCache::Mode::kReadWrite);
        if (cache.ok()) (void)(*cache)->put(sample_entry(1)).ok();
      });
      auto cache = open_cache(scratch.dir());
      const Kind kind = cache->get(sample_key(1)).kind;
      EXPECT_TRUE(kind == Kind::kHit || kind == Kind::kMiss || (damaged && kind == Kind::kDamaged));
      seen_whole += kind == Kind::kHit ? 1 : 0;
      seen_absent += kind == Kind::kHit ? 0 : 1;
      EXPECT_TRUE(cache->put(sample_entry(1)).ok());
      EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kHit);
      // What is left over is at most one temporary, swept when an hour old.
      std::vector<fs::path> left;
      for (const auto& item : fs::directory_iterator(scratch.dir() + "/v1/tmp")) {
        left.push_back(item.path());
      }
      EXPECT_LE(left.size(), 1u);
      for (const fs::path& path : left) set_age(path, 3700);
      EXPECT_EQ(cache->prune(1 << 20, 0, false)->stale_temporaries_removed,
                static_cast<int64_t>(left.size()));
      EXPECT_TRUE(fs::is_empty(scratch.dir() + "/v1/tmp"));
    }
    EXPECT_GT(steps, 20);
    EXPECT_GT(seen_absent, 10);
    EXPECT_GT(seen_whole, 0);
  }
}

TEST(CacheCrash, ReplaceKilledAtAnyStepKeepsTheOldOrTheNew) {
  Entry next = sample_entry(1);
  next.metadata.registers = 99;
  int steps = 0, seen_new = 0;
  for (bool killed = true; killed; ++steps) {
    SCOPED_TRACE(steps);
    Scratch scratch;
    auto cache = open_cache(scratch.dir());
    ASSERT_TRUE(cache->put(sample_entry(1)).ok());
    killed = dies_at(steps + 1, [&] { (void)cache->replace(next).ok(); });
    const Lookup found = cache->get(sample_key(1));
    ASSERT_EQ(found.kind, Kind::kHit);
    EXPECT_TRUE(found.entry == next || found.entry == sample_entry(1));
    seen_new += found.entry == next ? 1 : 0;
  }
  EXPECT_GT(steps, 10);
  EXPECT_GT(seen_new, 0);
}

TEST(CacheCrash, PruneKilledAtAnyStepLeavesWholeEntriesAndNoLock) {
  for (int at = 1, killed = 1; killed != 0; ++at) {
    Scratch scratch;
    auto cache = open_cache(scratch.dir());
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(cache->put(sample_entry(i)).ok());
      set_age(entry_path(scratch.dir(), i), 3600 * (i + 1));
    }
    killed = dies_at(at, [&] { (void)cache->prune(0, 0, false).ok(); }) ? 1 : 0;
    const auto items = cache->list(true);
    ASSERT_TRUE(items.ok());
    for (const EntryListing& item : *items) EXPECT_EQ(item.lookup.kind, Kind::kHit);
    const auto again = cache->prune(0, 0, false);
    ASSERT_TRUE(again.ok());
    EXPECT_FALSE(again->another_pruner);
    EXPECT_EQ(count_files(scratch.dir() + "/v1/obj"), 0);
  }
}

TEST(CacheCrash, BytesReachTheDiskBeforeTheNameDoes) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  for (bool over : {false, true}) {
    fault::arm(Plan());
    ASSERT_TRUE((over ? cache->replace(sample_entry(1)) : cache->put(sample_entry(1))).ok());
    const Report report = fault::disarm();
    const Call naming = over ? Call::kRename : Call::kRenameNoReplace;
    const auto at = [&](Call call) {
      return std::find(report.trace.begin(), report.trace.end(), call) - report.trace.begin();
    };
    const auto end = static_cast<std::ptrdiff_t>(report.trace.size());
    ASSERT_LT(at(naming), end);
    EXPECT_LT(at(Call::kWrite), at(Call::kFsync));
    EXPECT_LT(at(Call::kFsync), at(naming));
    EXPECT_EQ(std::count(report.trace.begin() + at(Call::kFsync), report.trace.end(), Call::kWrite),
              0);
    EXPECT_EQ(report.trace[static_cast<size_t>(at(Call::kFsync)) + 1], Call::kClose);
  }
}

}  // namespace
}  // namespace rmsjit
