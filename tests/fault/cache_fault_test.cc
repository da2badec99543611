// SPDX-License-Identifier: Apache-2.0
// Every step of a look-up, a publish and a prune fails, once and from then on, with every errno a
// file system is known to answer: the result is of the right kind, an intact entry is never lost,
// nothing partial shows afterwards, and no descriptor stays open.
#include <cerrno>
#include <chrono>
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
using Mode = DiskCache::Mode;
namespace fs = std::filesystem;

constexpr int kErrors[] = {ENOENT, EACCES, EPERM,  EROFS,  ENOSPC,  EDQUOT,       EIO,
                           ESTALE, EBUSY,  EMFILE, ENFILE, ENOTDIR, ENAMETOOLONG, EINTR,
                           EEXIST, ENOMEM, ELOOP,  EINVAL, ENOSYS,  EOPNOTSUPP};

int open_descriptors() {
  int count = 0;
  for (const auto& item : fs::directory_iterator("/proc/self/fd"))
    count += item.path().empty() ? 0 : 1;
  return count;
}

std::string describe(const Plan& plan) {
  return "effect " + std::to_string(static_cast<int>(plan.effect)) + " at step " +
         std::to_string(plan.at) + (plan.from_then_on ? " and on" : "") + ": " +
         std::generic_category().message(plan.error);
}

struct Sweep {
  std::function<void()> before;                           // unarmed
  std::function<void()> act;                              // armed
  std::function<void(const Plan&, const Report&)> after;  // unarmed
};

// Every step x every errno x once and from then on, until a plan no longer bites.
int run_sweep(const Sweep& sweep, const std::vector<Effect>& effects) {
  int injected = 0;
  for (Effect effect : effects) {
    for (int error : kErrors) {
      if (effect == Effect::kShort && error != kErrors[0]) break;
      for (bool on : {false, true}) {
        for (int at = 1;; ++at) {
          const Plan plan{effect, at, on, error};
          SCOPED_TRACE(describe(plan));
          sweep.before();
          const int open_before = open_descriptors();
          fault::arm(plan);
          sweep.act();
          const Report report = fault::disarm();
          EXPECT_EQ(open_descriptors(), open_before);
          sweep.after(plan, report);
          injected += report.injected;
          if (report.injected == 0 || testing::Test::HasFailure()) break;
          if (at > 200) ADD_FAILURE() << "a sweep that does not end";
        }
      }
    }
  }
  return injected;
}

const std::vector<Effect> kReads = {Effect::kFail, Effect::kShort};
const std::vector<Effect> kWrites = {Effect::kFail, Effect::kFailAfter, Effect::kShort};

// One cache with entry 1, restored before each step without going through the cache.
class CacheFault : public testing::Test {
 protected:
  void SetUp() override {
    cache_ = open_cache(scratch_.dir());
    ASSERT_TRUE(cache_->put(sample_entry(1)).ok());
    path_ = entry_path(scratch_.dir(), 1);
  }
  void restore(const std::string& bytes) {
    std::error_code ignored;
    fs::create_directories(fs::path(path_).parent_path(), ignored);
    fs::remove_all(path_, ignored);
    write_file(path_, bytes);
    set_age(path_, 7 * 3600);  // so that a hit refreshes it
  }
  void expect_all_whole() {
    const auto items = cache_->list(true);
    ASSERT_TRUE(items.ok()) << items.message();
    for (const EntryListing& item : *items) {
      EXPECT_EQ(item.lookup.kind, Kind::kHit) << item.lookup.reason;
    }
  }

  Scratch scratch_{Scratch::Where::kMemory};
  std::unique_ptr<DiskCache> cache_;
  std::string path_;
  const std::string good_ = encode_entry(sample_entry(1));
};

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
  EXPECT_GT(injected, 400);
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

// What holds after any publish, whatever failed in it.
void expect_published_or_not(DiskCache* cache, const std::string& dir, const Status& status,
                             const Plan& plan, const Report& report) {
  EXPECT_TRUE(status.ok() || status.code() == StatusCode::kIo) << status.message();
  if (report.injected == 0 || plan.effect == Effect::kShort) {
    EXPECT_TRUE(status.ok()) << status.message();
  }
  const Lookup found = cache->get(sample_key(1));
  EXPECT_TRUE(found.kind == Kind::kHit || (found.kind == Kind::kMiss && !status.ok()))
      << found.reason;
  // One failure leaves nothing behind, unless it is the cleaning up that failed.
  if (!plan.from_then_on && report.first_injected != Call::kUnlink) {
    EXPECT_EQ(count_files(dir + "/v1/tmp"), 0);
  }
  EXPECT_TRUE(cache->put(sample_entry(1)).ok());
  EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kHit);
}

TEST_F(CacheFault, PublishIsAllOrNothing) {
  Status status;
  const int injected = run_sweep(
      {[&] {
         fs::remove_all(scratch_.dir() + "/v1/obj"), fs::remove_all(scratch_.dir() + "/v1/tmp");
       },
       [&] { status = cache_->put(sample_entry(1)); },
       [&](const Plan& plan, const Report& report) {
         expect_published_or_not(cache_.get(), scratch_.dir(), status, plan, report);
       }},
      kWrites);
  EXPECT_GT(injected, 2000);
}

TEST_F(CacheFault, PublishOverDamageIsAllOrNothing) {
  std::string bad = good_;
  bad.resize(bad.size() - 1);
  for (bool over : {false, true}) {
    Status status;
    run_sweep(
        {[&] {
           fs::remove_all(scratch_.dir() + "/v1/tmp");
           restore(bad);
         },
         [&] { status = over ? cache_->replace(sample_entry(1)) : cache_->put(sample_entry(1)); },
         [&](const Plan& plan, const Report& report) {
           if (!status.ok() && fs::exists(path_) && read_file(path_) == bad) {
             EXPECT_EQ(cache_->get(sample_key(1)).kind, Kind::kDamaged);
           }
           expect_published_or_not(cache_.get(), scratch_.dir(), status, plan, report);
         }},
        kWrites);
  }
}

TEST_F(CacheFault, PublishOverAnIntactEntryKeepsOneOfThem) {
  Entry other = sample_entry(1);
  other.metadata.registers = 99;
  for (bool over : {false, true}) {
    Status status;
    run_sweep({[&] {
                 fs::remove_all(scratch_.dir() + "/v1/tmp");
                 restore(good_);
               },
               [&] { status = over ? cache_->replace(other) : cache_->put(other); },
               [&](const Plan& plan, const Report& report) {
                 const Lookup found = cache_->get(sample_key(1));
                 ASSERT_EQ(found.kind, Kind::kHit) << found.reason;
                 EXPECT_TRUE(found.entry == sample_entry(1) || (found.entry == other));
                 if (over && status.ok()) {
                   EXPECT_TRUE(found.entry == other);
                 }
                 expect_published_or_not(cache_.get(), scratch_.dir(), status, plan, report);
               }},
              kWrites);
  }
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
  EXPECT_GT(injected, 80);
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
                 EXPECT_TRUE(report.injected > 0 || items->size() == 1);
               } else {
                 EXPECT_EQ(items.code(), StatusCode::kIo) << describe(plan);
               }
               EXPECT_EQ(read_file(path_), good_);
             }},
            kReads);
}

}  // namespace
}  // namespace rmsjit
