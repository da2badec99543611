// SPDX-License-Identifier: Apache-2.0
// A publish while every step fails: the entry is there whole or it is not, never in part, and one
// failure leaves nothing behind.
#include "tests/fault/sweep.h"

namespace rmsjit {
namespace {

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
  EXPECT_GT(injected, 100 * kErrorCount);
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

}  // namespace
}  // namespace rmsjit
