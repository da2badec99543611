// SPDX-License-Identifier: Apache-2.0
// The store under threads, processes, bad disks and failing compilers.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <latch>

#include "tests/runtime/store_fixture.h"

namespace rmsjit {
namespace {

constexpr int kThreads = 64;

std::vector<Status> acquire_together(KernelStore& store, const KernelId& id) {
  std::vector<Status> statuses(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] { statuses[i] = store.acquire(id, kCuda13).status(); });
  }
  for (std::thread& thread : threads) thread.join();
  return statuses;
}

TEST_F(KernelStoreTest, SixtyFourThreadsOnOneColdKeyCompileOnceAndOtherKeysDoNotWait) {
  KernelStore* running = nullptr;
  std::latch other_done(1);
  auto store = make_store(on_disk(), [&](const CompileRequest& request) -> Status {
    if (request.spec_cuh.find("4096") == std::string::npos) return {};
    wait_until([&] { return running->counters().waits == kThreads - 1; });
    other_done.wait();
    return {};
  });
  running = store.get();
  std::thread other([&] {
    wait_until([&] { return running->counters().waits == kThreads - 1; });
    EXPECT_TRUE(store->acquire(id_of("hidden=64"), kCuda13).ok());
    other_done.count_down();
  });
  for (const Status& status : acquire_together(*store, id_of("hidden=4096"))) {
    EXPECT_TRUE(status.ok()) << status.message();
  }
  other.join();
  EXPECT_EQ(log_.compiles, 2) << "one a key";
}

TEST_F(KernelStoreTest, AFailedCompileReleasesEveryWaiterWithTheSameErrorAndIsRemembered) {
  KernelStore* running = nullptr;
  auto store = make_store(on_disk(), [&](const CompileRequest&) -> Status {
    wait_until([&] { return running->counters().waits == kThreads - 1; });
    return {StatusCode::kCompileFailed, "the log of this compile"};
  });
  running = store.get();
  const KernelId id = id_of("hidden=4096");
  for (const Status& status : acquire_together(*store, id)) {
    EXPECT_EQ(status.code(), StatusCode::kCompileFailed);
    EXPECT_EQ(status.message(), "the log of this compile");
  }
  EXPECT_EQ(store->acquire(id, kCuda13).code(), StatusCode::kCompileFailed);
  EXPECT_EQ(log_.compiles, 1);
  EXPECT_EQ(store->counters().compile_failures, 1u);
}

TEST_F(KernelStoreTest, AFailureOfTheEnvironmentExpires) {
  StoreOptions options = on_disk();
  options.retry_ms = 0;
  int failures = 1;
  auto store = make_store(options, [&](const CompileRequest&) -> Status {
    if (failures-- > 0) return {StatusCode::kWorkerFailed, "killed"};
    return {};
  });
  EXPECT_EQ(store->acquire(id_of("hidden=4096"), kCuda13).code(), StatusCode::kWorkerFailed);
  EXPECT_TRUE(store->acquire(id_of("hidden=4096"), kCuda13).ok());
}

TEST_F(KernelStoreTest, AFailureOfTheEnvironmentIsRememberedForAWhile) {
  unavailable_ = Status(StatusCode::kCompilerUnavailable, "no NVRTC");
  auto store = make_store(on_disk());
  EXPECT_EQ(store->acquire(id_of("hidden=4096"), kCuda13).code(), StatusCode::kCompilerUnavailable);
  EXPECT_EQ(store->acquire(id_of("hidden=4096"), kCuda13).code(), StatusCode::kCompilerUnavailable);
  EXPECT_EQ(log_.identities, 1);
}

TEST_F(KernelStoreTest, ADamagedEntryIsReplacedWithOneWarning) {
  const KernelId id = id_of("hidden=4096"), other = id_of("hidden=4104");
  ASSERT_TRUE(make_store(on_disk())->acquire(id, kCuda13).ok());
  ASSERT_TRUE(make_store(on_disk())->acquire(other, kCuda13).ok());
  for (const auto& file : std::filesystem::recursive_directory_iterator(dir_.path("cache"))) {
    if (file.path().extension() != ".rmsk") continue;
    std::filesystem::resize_file(file.path(), std::filesystem::file_size(file.path()) - 1);
  }
  auto store = make_store(on_disk());
  const auto again = store->acquire(id, kCuda13);
  ASSERT_TRUE(again.ok()) << again.message();
  EXPECT_EQ(again->origin, Origin::kCompiled);
  EXPECT_TRUE(store->acquire(other, kCuda13).ok());
  EXPECT_EQ(store->counters().damaged, 2u);
  EXPECT_EQ(warnings_.size(), 1u);
  EXPECT_EQ(make_store(on_disk())->acquire(id, kCuda13)->origin, Origin::kCache);
}

TEST_F(KernelStoreTest, AnImageThatIsNotOneForItsTargetIsDamage) {
  const KernelId id = id_of("hidden=4096");
  Entry entry = make_store({})->acquire(id, kCuda13)->entry;
  entry.image = "not a cubin";
  auto cache = DiskCache::open(dir_.path("cache"), DiskCache::Mode::kReadWrite);
  ASSERT_TRUE((*cache)->put(entry).ok());
  auto store = make_store(on_disk());
  EXPECT_EQ(store->acquire(id, kCuda13)->origin, Origin::kCompiled);
  EXPECT_EQ(store->counters().damaged, 1u);
  EXPECT_EQ(make_store(on_disk())->acquire(id, kCuda13)->origin, Origin::kCache)
      << "the entry was not replaced";
}

class UnwritableDirectory : public KernelStoreTest {
 protected:
  void serves_from_memory_with_one_warning(const std::string& cache_dir) {
    StoreOptions options;
    options.cache_dir = cache_dir;
    options.retry_ms = 0;
    auto store = make_store(options);
    for (const char* spec : {"hidden=64", "hidden=65", "hidden=66"}) {
      const auto result = store->acquire(id_of(spec), kCuda13);
      ASSERT_TRUE(result.ok()) << result.message();
      EXPECT_EQ(result->origin, Origin::kCompiled);
    }
    EXPECT_GE(store->counters().write_failures, 1u);
    ASSERT_EQ(warnings_.size(), 1u);
    EXPECT_NE(warnings_[0].find(cache_dir), std::string::npos) << warnings_[0];
  }
};

TEST_F(UnwritableDirectory, ThatIsAFile) {
  std::ofstream(dir_.path("file")) << "x";
  serves_from_memory_with_one_warning(dir_.path("file"));
}
TEST_F(UnwritableDirectory, BelowAFile) {
  std::ofstream(dir_.path("file")) << "x";
  serves_from_memory_with_one_warning(dir_.path("file/below"));
}
TEST_F(UnwritableDirectory, OnAFileSystemThatTakesNone) {
  serves_from_memory_with_one_warning("/proc/rmsjit");
}

TEST_F(KernelStoreTest, ALockHeldTooLongIsCompiledPast) {
  const KernelId id = id_of("hidden=4096");
  auto other = DiskCache::open(dir_.path("cache"), DiskCache::Mode::kReadWrite);
  ASSERT_TRUE(other.ok()) << other.message();
  const KeyLock held = (*other)->lock(id.cache_key(13).digest(), 0);
  ASSERT_TRUE(held.held());
  StoreOptions options = on_disk();
  options.lock_wait_ms = 20;
  auto store = make_store(options);
  EXPECT_TRUE(store->acquire(id, kCuda13).ok());
  EXPECT_EQ(log_.compiles, 1);
}

TEST_F(KernelStoreTest, WhatAnotherProcessPublishedWhileThisOneWaitedIsUsed) {
  const KernelId id = id_of("hidden=4096");
  const Entry entry = make_store({})->acquire(id, kCuda13)->entry;
  auto other = DiskCache::open(dir_.path("cache"), DiskCache::Mode::kReadWrite);
  ASSERT_TRUE(other.ok()) << other.message();
  KeyLock held = (*other)->lock(id.cache_key(13).digest(), 0);
  auto store = make_store(on_disk());
  const int before = log_.identities;
  std::thread waiter([&] { EXPECT_EQ(store->acquire(id, kCuda13)->origin, Origin::kCache); });
  // The compiler's identity is asked for between the first search and the lock.
  wait_until([&] { return log_.identities > before; });
  ASSERT_TRUE((*other)->put(entry).ok());
  held = KeyLock();
  waiter.join();
  EXPECT_EQ(log_.compiles, 1) << "only the one that made the entry";
}

TEST_F(KernelStoreTest, AForkedChildCompilesWhileItsParentDoes) {
  std::latch forked(1);
  std::atomic<bool> compiling{false};
  const pid_t parent = getpid();
  StoreOptions options = on_disk();
  options.lock_wait_ms = 20;
  auto store = make_store(options, [&](const CompileRequest&) -> Status {
    if (getpid() != parent) return {};
    compiling = true;
    forked.wait();
    return {};
  });
  const KernelId id = id_of("hidden=4096");
  std::thread holder([&] { EXPECT_TRUE(store->acquire(id, kCuda13).ok()); });
  wait_until([&] { return compiling.load(); });
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    const bool another = store->acquire(id_of("hidden=64"), kCuda13).ok();
    const bool the_same = store->acquire(id, kCuda13).ok();  // whose maker is not in this process
    _exit(another && the_same ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  forked.count_down();
  holder.join();
}

}  // namespace
}  // namespace rmsjit
