// SPDX-License-Identifier: Apache-2.0
// The sweep itself: every step of an action fails, once and from then on, with every errno that a
// file system is known to answer. The fixture holds one cache with one entry.
#ifndef RMSJIT_TESTS_FAULT_SWEEP_H_
#define RMSJIT_TESTS_FAULT_SWEEP_H_

#include <cerrno>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "tests/cache/scratch.h"
#include "tests/fault/fault.h"

namespace rmsjit {

using fault::Call;
using fault::Effect;
using fault::Plan;
using fault::Report;
using Kind = Lookup::Kind;
using Mode = DiskCache::Mode;
namespace fs = std::filesystem;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// A sanitizer looks at the branches, so one errno for each is enough, at every step all the same.
inline constexpr int kErrors[] = {ENOENT, ENOSPC, ESTALE, EINTR, EEXIST, EINVAL};
#else
inline constexpr int kErrors[] = {ENOENT, EACCES, EPERM,  EROFS,  ENOSPC,  EDQUOT,       EIO,
                                  ESTALE, EBUSY,  EMFILE, ENFILE, ENOTDIR, ENAMETOOLONG, EINTR,
                                  EEXIST, ENOMEM, ELOOP,  EINVAL, ENOSYS,  EOPNOTSUPP};
#endif
inline constexpr int kErrorCount = static_cast<int>(std::size(kErrors));

inline int open_descriptors() {
  int count = 0;
  for (const auto& item : fs::directory_iterator("/proc/self/fd"))
    count += item.path().empty() ? 0 : 1;
  return count;
}

inline std::string describe(const Plan& plan) {
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
inline int run_sweep(const Sweep& sweep, const std::vector<Effect>& effects) {
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

inline const std::vector<Effect> kReads = {Effect::kFail, Effect::kShort};
inline const std::vector<Effect> kWrites = {Effect::kFail, Effect::kFailAfter, Effect::kShort};

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

  Scratch scratch_;
  std::unique_ptr<DiskCache> cache_;
  std::string path_;
  const std::string good_ = encode_entry(sample_entry(1));
};

}  // namespace rmsjit

#endif  // RMSJIT_TESTS_FAULT_SWEEP_H_
