// SPDX-License-Identifier: Apache-2.0
// The size cap under load: sixteen processes that publish, with clocks that differ, and four that
// trim all the while. What is young stays, and what goes is the least recently used and no more.
#include <sys/mman.h>
#include <sys/wait.h>

#include <atomic>

#include "tests/cache/scratch.h"

namespace rmsjit {
namespace {

constexpr int kWriters = 16, kTrimmers = 4, kEach = 40;
constexpr int64_t kYoung_s = 600;

// When an entry was last used, by the clock of the host that did.
enum class Age { kNow, kTwoHours, kHalfAnHourAhead, kMonthAhead };
constexpr int64_t kAges_s[] = {0, 7200, -1800, -30 * 86400};

int number_of(int writer, int i) { return 10000 + writer * 100 + i; }
Age age_of_entry(int i) { return static_cast<Age>(i % 4); }

// Zero, or the step that failed.
int write_all(const std::string& dir, int writer) {
  const auto cache = open_cache(dir);
  for (int i = 0; i < kEach; ++i) {
    const int number = number_of(writer, i);
    if (!cache->put(sample_entry(number)).ok()) return 1;
    const int64_t then = time(nullptr) - kAges_s[i % 4];
    const timespec times[2] = {{then, 0}, {then, 0}};
    // The entry has just been published, so that no trimmer may have taken it yet.
    if (utimensat(AT_FDCWD, entry_path(dir, number).c_str(), times, 0) != 0) return 2;
    const Lookup::Kind found = cache->get(sample_key(number_of(writer, i / 4 * 4))).kind;
    if (found != Lookup::Kind::kHit) return 3;  // a young one
  }
  return 0;
}

int trim_until(const std::atomic<bool>& stop, const std::string& dir, int64_t max_bytes) {
  const auto cache = open_cache(dir);
  while (!stop) {
    const auto result = cache->prune(max_bytes, kYoung_s, false);
    if (!result.ok() || result->entries_failed != 0) return 4;
  }
  return 0;
}

template <class Work>
pid_t child_of(const Work& work) {
  const pid_t child = fork();
  if (child == 0) _exit(work());
  return child;
}

void expect_clean_end(pid_t child) {
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "the failed step";
}

class DiskCacheTrim : public testing::Test {
 protected:
  // Writers and trimmers side by side, and one more prune at the end; how many entries of each age
  // are left.
  void run(int64_t max_entries, int (&left)[4]) {
    auto cache = open_cache(scratch_.dir());
    ASSERT_TRUE(cache->put(sample_entry(10000)).ok());
    const auto each =
        static_cast<int64_t>(std::filesystem::file_size(entry_path(scratch_.dir(), 10000)));
    void* memory = mmap(nullptr, sizeof(std::atomic<bool>), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    auto& stop = *new (memory) std::atomic<bool>(false);
    std::vector<pid_t> writers, trimmers;
    for (int i = 0; i < kTrimmers; ++i) {
      trimmers.push_back(
          child_of([&] { return trim_until(stop, scratch_.dir(), max_entries * each); }));
    }
    for (int i = 0; i < kWriters; ++i) {
      writers.push_back(child_of([&] { return write_all(scratch_.dir(), i); }));
    }
    for (const pid_t child : writers) expect_clean_end(child);
    stop = true;
    for (const pid_t child : trimmers) expect_clean_end(child);
    munmap(memory, sizeof(std::atomic<bool>));
    ASSERT_TRUE(cache->prune(max_entries * each, kYoung_s, false).ok());
    for (int writer = 0; writer < kWriters; ++writer) {
      for (int i = 0; i < kEach; ++i) {
        const Lookup found = cache->get(sample_key(number_of(writer, i)));
        ASSERT_NE(found.kind, Lookup::Kind::kDamaged) << found.reason;
        left[static_cast<int>(age_of_entry(i))] += found.kind == Lookup::Kind::kHit ? 1 : 0;
      }
    }
    EXPECT_EQ(count_files(scratch_.dir() + "/v1/tmp"), 0);
  }

  static constexpr int kOfEachAge = kWriters * kEach / 4;
  Scratch scratch_;
};

TEST_F(DiskCacheTrim, SixteenWritersAndFourTrimmersRemoveTheOldestAndNoMore) {
  constexpr int kMost = 540;
  int left[4] = {};
  run(kMost, left);
  EXPECT_EQ(left[0], kOfEachAge);
  EXPECT_EQ(left[1], kOfEachAge) << "those of the far future say nothing, and went before these";
  EXPECT_EQ(left[2], kOfEachAge);
  EXPECT_EQ(left[0] + left[1] + left[2] + left[3], kMost);
}

TEST_F(DiskCacheTrim, WhatIsYoungStaysBeyondTheLimit) {
  int left[4] = {};
  run(kOfEachAge, left);
  EXPECT_EQ(left[0], kOfEachAge);
  EXPECT_EQ(left[1], 0);
  EXPECT_EQ(left[2], kOfEachAge) << "a clock that is half an hour ahead";
  EXPECT_EQ(left[3], 0);
}

}  // namespace
}  // namespace rmsjit
