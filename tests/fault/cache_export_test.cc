// SPDX-License-Identifier: Apache-2.0
// Two hosts on one network export, for real where there is one: RMSJIT_TEST_EXPORT names two mounts
// of it, "A:B", each with a client of its own. The fault layer stands for it elsewhere.
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/cache/scratch.h"

namespace rmsjit {
namespace {

using Kind = Lookup::Kind;
namespace fs = std::filesystem;

class CacheExport : public testing::Test {
 protected:
  void SetUp() override {
    const char* mounts = getenv("RMSJIT_TEST_EXPORT");
    if (mounts == nullptr) GTEST_SKIP() << "RMSJIT_TEST_EXPORT does not name two mounts, A:B";
    const std::string both = mounts;
    // A name of its own each time: clients remember the folders of the test before.
    static int counter = 0;
    const std::string below =
        "/rmsjit-" + std::to_string(getpid()) + "-" + std::to_string(++counter);
    hosts_[0] = both.substr(0, both.find(':')) + below;
    hosts_[1] = both.substr(both.find(':') + 1) + below;
  }
  void TearDown() override {
    std::error_code ignored;
    if (!hosts_[0].empty()) fs::remove_all(hosts_[0], ignored);
  }
  // A client may remember for a while what was not there.
  bool becomes_a_hit(DiskCache& cache, int number) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (cache.get(sample_key(number)).kind != Kind::kHit) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
  }

  std::string hosts_[2];
};

TEST_F(CacheExport, IsKnownAsANetworkFileSystem) {
  EXPECT_NE(open_cache(hosts_[0])->network_file_system(), nullptr);
}

TEST_F(CacheExport, TwoHostsPublishTheSameKeysAtOnceWithoutAFailure) {
  constexpr int kProcesses = 8, kKeys = 30;
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p) {
    const pid_t child = fork();
    if (child == 0) {
      const auto cache = open_cache(hosts_[p % 2]);
      if (!cache) _exit(1);
      for (int k = 0; k < kKeys; ++k) {
        const int number = (k + p * 7) % kKeys;
        const Lookup found = cache->get(sample_key(number));
        EXPECT_TRUE(found.kind == Kind::kHit || found.kind == Kind::kMiss) << found.reason;
        if (HasFailure()) _exit(2);
        if (found.kind == Kind::kHit) continue;
        const Status put = cache->put(sample_entry(number));
        EXPECT_TRUE(put.ok()) << put.message();
        if (HasFailure()) _exit(3);
      }
      _exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 0) << "the failed step";
  }
  for (const std::string& host : hosts_) {
    const auto cache = open_cache(host);
    for (int k = 0; k < kKeys; ++k) EXPECT_TRUE(becomes_a_hit(*cache, k)) << host << " " << k;
    EXPECT_EQ(count_files(host + "/v1/obj"), kKeys);
    EXPECT_EQ(count_files(host + "/v1/tmp"), 0);
  }
}

TEST_F(CacheExport, OneHostRemovesWhileTheOtherReadsAndWrites) {
  ASSERT_NE(open_cache(hosts_[0]), nullptr);
  std::atomic<bool> stop{false};
  std::thread remover([&] {
    const auto cache = open_cache(hosts_[1]);
    while (!stop) EXPECT_TRUE(cache->clear(false).ok());
  });
  const auto cache = open_cache(hosts_[0]);
  int hits = 0;
  for (int i = 0; i < 200; ++i) {
    const Status put = cache->put(sample_entry(i % 5));
    EXPECT_TRUE(put.ok() || put.code() == StatusCode::kIo) << put.message();
    const Lookup found = cache->get(sample_key(i % 5));
    EXPECT_NE(found.kind, Kind::kDamaged) << found.reason;
    hits += found.kind == Kind::kHit ? 1 : 0;
  }
  stop = true;
  remover.join();
  EXPECT_GT(hits, 0);
  ASSERT_TRUE(cache->put(sample_entry(1)).ok());
  EXPECT_TRUE(becomes_a_hit(*cache, 1));
  EXPECT_TRUE(becomes_a_hit(*open_cache(hosts_[1]), 1));
}

TEST_F(CacheExport, DamageThatOneHostLeftIsHealedByTheOther) {
  const auto first = open_cache(hosts_[0]), second = open_cache(hosts_[1]);
  ASSERT_TRUE(first->put(sample_entry(1)).ok());
  ASSERT_TRUE(becomes_a_hit(*second, 1));
  write_file(entry_path(hosts_[0], 1), "damage");
  EXPECT_TRUE(second->put(sample_entry(1)).ok());
  EXPECT_TRUE(becomes_a_hit(*second, 1));
  EXPECT_TRUE(becomes_a_hit(*first, 1));
}

}  // namespace
}  // namespace rmsjit
