// SPDX-License-Identifier: Apache-2.0
// Look-up, prune, open, lock and list while every step fails: the result is of the right kind, an
// intact entry is never lost, damage is never served, and no descriptor stays open.
#include <algorithm>
#include <chrono>

#include "tests/fault/sweep.h"

namespace rmsjit {
namespace {

TEST_F(CacheFault, LookUpNeverLosesAnIntactEntry) {
  Lookup found;
  const int injected =
      run_sweep({[&] { restore(good_); }, [&] { found = cache_->get(sample_key(1)); },
                 [&](const Plan& plan, const Report& report) {
                   EXPECT_NE(found.kind, Kind::kDamaged) << found.reason;
                   EXPECT_EQ(found.kind == Kind::kUnreadable, !found.reason.empty());
                   if (found.kind == Kind::kHit) {
                     EXPECT_TRUE(found.entry == sample_entry(1));
                   }
                   if (found.kind == Kind::kMiss) {
                     EXPECT_EQ(plan.error, ENOENT);
                   }
                   if (report.injected == 0 || plan.effect == Effect::kShort) {
                     EXPECT_EQ(found.kind, Kind::kHit);
                   }
                   EXPECT_EQ(read_file(path_), good_);
                 }},
                kReads);
  EXPECT_GT(injected, 20 * kErrorCount);
}

TEST_F(CacheFault, AnEntryLongerThanAnyIsNotRead) {
  ASSERT_EQ(truncate(path_.c_str(), kMaxEntryBytes + 1), 0);
  fault::arm(Plan());
  const Lookup found = cache_->get(sample_key(1));
  const Report report = fault::disarm();
  EXPECT_EQ(found.kind, Kind::kDamaged);
  EXPECT_EQ(std::count(report.trace.begin(), report.trace.end(), Call::kRead), 0);
}

TEST_F(CacheFault, StaleHandleIsTriedOnceMore) {
  for (Call call : {Call::kOpen, Call::kStat, Call::kRead}) {
    fault::arm({Effect::kFail, 2, false, ESTALE, call});
    const Lookup found = cache_->get(sample_key(1));
    fault::disarm();
    EXPECT_EQ(found.kind, Kind::kHit) << found.reason;
  }
}

TEST_F(CacheFault, DamageIsNeverServedAndHeals) {
  std::string bad = good_;
  bad[bad.size() / 2] ^= 1;
  Lookup found;
  run_sweep({[&] { restore(bad); }, [&] { found = cache_->get(sample_key(1)); },
             [&](const Plan&, const Report&) {
               EXPECT_NE(found.kind, Kind::kHit);
               const std::string left = fs::exists(path_) ? read_file(path_) : bad;
               EXPECT_EQ(left, bad);
               EXPECT_TRUE(cache_->put(sample_entry(1)).ok());
               EXPECT_EQ(cache_->get(sample_key(1)).kind, Kind::kHit);
             }},
            kReads);
}

TEST_F(CacheFault, PruneNeverRemovesTooMuchNorLeavesAnythingPartial) {
  constexpr int kEntries = 5, kKept = 2;
  const int64_t max_bytes = kKept * static_cast<int64_t>(good_.size());
  std::vector<std::string> bytes;
  for (int i = 0; i < kEntries; ++i) {
    ASSERT_TRUE(cache_->put(sample_entry(i)).ok());
    bytes.push_back(read_file(entry_path(scratch_.dir(), i)));
  }
  Result<PruneResult> result = PruneResult();
  run_sweep({[&] {
               for (int i = 0; i < kEntries; ++i) {
                 const std::string path = entry_path(scratch_.dir(), i);
                 write_file(path, bytes[static_cast<size_t>(i)]);
                 set_age(path, (10 - i) * 3600);
               }
             },
             [&] { result = cache_->prune(max_bytes, 0, false); },
             [&](const Plan&, const Report& report) {
               EXPECT_TRUE(result.ok() || result.code() == StatusCode::kIo) << result.message();
               expect_all_whole();
               EXPECT_GE(count_files(scratch_.dir() + "/v1/obj"), kKept);
               EXPECT_TRUE(report.injected > 0 || result->entries_removed == kEntries - kKept);
               EXPECT_TRUE(cache_->prune(max_bytes, 0, false).ok());
               EXPECT_EQ(count_files(scratch_.dir() + "/v1/obj"), kKept);
             }},
            {Effect::kFail});
}

TEST_F(CacheFault, OpenFailsCleanlyOrWorks) {
  for (bool fresh : {true, false}) {
    for (Mode mode : {Mode::kReadWrite, Mode::kReadOnly}) {
      const std::string dir = scratch_.path() + (fresh ? "/other" : "/cache");
      if (fresh && mode == Mode::kReadOnly) continue;
      Status status;
      run_sweep({[&] {
                   if (fresh) fs::remove_all(dir);
                 },
                 [&] { status = DiskCache::open(dir, mode).status(); },
                 [&](const Plan& plan, const Report& report) {
                   EXPECT_TRUE(status.ok() || status.code() == StatusCode::kIo ||
                               (mode == Mode::kReadOnly && plan.error == ENOENT &&
                                status.code() == StatusCode::kNotFound))
                       << status.message();
                   EXPECT_TRUE(report.injected > 0 || status.ok());
                   auto cache = open_cache(dir);
                   EXPECT_TRUE(cache->put(sample_entry(1)).ok());
                 }},
                kWrites);
    }
  }
}

TEST_F(CacheFault, LockFailsAtOnceAndIsNeverNeeded) {
  bool held = false;
  const auto start = std::chrono::steady_clock::now();
  const int injected = run_sweep(
      {[] {},
       [&] {
         KeyLock lock = cache_->lock(sample_key(1).digest(), 60000);
         held = lock.held();
       },
       [&](const Plan&, const Report& report) { EXPECT_TRUE(report.injected > 0 || held); }},
      {Effect::kFail});
  EXPECT_GT(injected, 4 * kErrorCount);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST_F(CacheFault, ListSaysWhatItCouldNotRead) {
  Result<std::vector<EntryListing>> items = std::vector<EntryListing>();
  run_sweep({[&] { restore(good_); }, [&] { items = cache_->list(true); },
             [&](const Plan& plan, const Report& report) {
               if (items.ok()) {
                 for (const EntryListing& item : *items) {
                   EXPECT_NE(item.lookup.kind, Kind::kDamaged) << item.lookup.reason;
                   EXPECT_NE(item.lookup.kind, Kind::kMiss);
                 }
                 EXPECT_TRUE(plan.error == ENOENT || !items->empty()) << "and names it";
                 EXPECT_TRUE(report.injected > 0 || items->size() == 1);
               } else {
                 EXPECT_EQ(items.code(), StatusCode::kIo) << describe(plan);
               }
               EXPECT_EQ(read_file(path_), good_);
             }},
            kReads);
}

// Somebody else puts the entry right while a reader is busy finding it damaged: at every step but
// the removal itself, whose inode was looked at one call before.
TEST_F(CacheFault, EntryHealedByAnotherIsNotRemovedAsDamage) {
  int healed = 0;
  for (int at = 1;; ++at) {
    SCOPED_TRACE(at);
    restore("damage");
    Plan plan{Effect::kRun, at};
    plan.run = [&] {
      write_file(path_ + ".new", good_);
      fs::rename(path_ + ".new", path_);
    };
    fault::arm(plan);
    (void)cache_->get(sample_key(1));
    const Report report = fault::disarm();
    if (report.injected == 0) break;
    if (report.first_injected == Call::kUnlink) continue;
    ++healed;
    EXPECT_EQ(read_file(path_), good_);
  }
  EXPECT_GE(healed, 8);
}

// An attacker who may write beside us swaps the folder of the entries, at every step, for a link to
// a whole entry of the same key, and for a folder of another user.
TEST_F(CacheFault, WhatIsSwappedInDuringALookUpIsNeverServed) {
  Entry evil = sample_entry(1);
  evil.image = "planted";
  const std::string planted = scratch_.path() + "/planted", objects = scratch_.dir() + "/v1/obj";
  fs::create_directories(fs::path(entry_path(planted, 1)).parent_path());
  write_file(entry_path(planted, 1), encode_entry(evil));
  const auto swap_in_a_link = [&] { fs::create_symlink(planted + "/v1/obj", objects); };
  const auto swap_in_a_strangers = [&] {
    fs::copy(planted + "/v1/obj", objects, fs::copy_options::recursive);
    for (const auto& item : fs::recursive_directory_iterator(objects)) {
      EXPECT_EQ(lchown(item.path().c_str(), 12345, 12345), 0);
    }
    EXPECT_EQ(lchown(objects.c_str(), 12345, 12345), 0);
  };
  std::vector<std::function<void()>> swaps = {swap_in_a_link};
  if (geteuid() == 0) swaps.emplace_back(swap_in_a_strangers);
  for (const auto& swap : swaps) {
    int swapped = 0;
    for (int at = 1;; ++at) {
      SCOPED_TRACE(at);
      fs::remove_all(objects);
      restore(good_);
      Plan plan{Effect::kRun, at};
      plan.run = [&] {
        fs::remove_all(scratch_.path() + "/moved");
        fs::rename(objects, scratch_.path() + "/moved");
        swap();
      };
      fault::arm(plan);
      const Lookup found = cache_->get(sample_key(1));
      if (fault::disarm().injected == 0) break;
      ++swapped;
      EXPECT_NE(found.entry.image, evil.image);
    }
    EXPECT_GE(swapped, 6);
  }
}

TEST_F(CacheFault, EntryUsedWhileThePrunerWalksIsKept) {
  int used = 0;
  for (int at = 1;; ++at) {
    SCOPED_TRACE(at);
    restore(good_);
    Plan plan{Effect::kRun, at};
    plan.run = [&] { EXPECT_EQ(cache_->get(sample_key(1)).kind, Kind::kHit); };
    fault::arm(plan);
    const auto result = cache_->prune(0, 3600, false);
    const Report report = fault::disarm();
    if (report.injected == 0) break;
    // After the removal, and between its last look and itself, there is nothing to keep.
    if (report.first_injected == Call::kUnlink) break;
    ++used;
    EXPECT_EQ(read_file(path_), good_);
    EXPECT_TRUE(result.ok() && result->entries_removed == 0);
  }
  EXPECT_GE(used, 12);
}

}  // namespace
}  // namespace rmsjit
