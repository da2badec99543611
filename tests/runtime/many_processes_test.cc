// SPDX-License-Identifier: Apache-2.0
// Processes that start together on one empty cache, as the ranks of an engine do: each key is
// compiled once in all of them, everybody gets the same bytes, and one that dies or stops while it
// compiles holds the others up for no longer than they were told to wait.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <new>

#include "tests/runtime/store_fixture.h"

namespace rmsjit {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kRepetitions = 3;  // a fork copies a sanitizer's tables each time
#else
constexpr int kRepetitions = 50;
#endif
constexpr int kProcesses = 64, kKeys = 4;

// In memory that the processes share.
struct Shared {
  std::atomic<int> ready{0}, go{0}, compiles{0}, compiling{0};
};

class ManyProcesses : public KernelStoreTest {
 protected:
  void SetUp() override {
    void* memory =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    shared_ = new (memory) Shared();
  }
  void TearDown() override { munmap(shared_, sizeof(Shared)); }

  FakeCompiler::Hook counted() {
    return [this](const CompileRequest&) -> Status {
      ++shared_->compiles;
      return {};
    };
  }
  static bool right(const KernelId& id, const Result<Acquired>& result) {
    return result.ok() && result->entry.image == fake_image(make_compile_request(id));
  }
  // A process whose exit code is `act`'s; it is killed when it takes too long.
  template <class Act>
  static pid_t start(const Act& act) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(120);
      _exit(act());
    }
    return child;
  }
  static void expect_done(pid_t child) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  }
  // A process that holds the lock of hidden=64 and compiles until it is ended.
  pid_t start_holder() {
    const pid_t holder = start([&] {
      auto store = make_store(on_disk(), [&](const CompileRequest&) -> Status {
        shared_->compiling = 1;
        for (;;) pause();
      });
      return store->acquire(id_of("hidden=64"), kCuda13).ok() ? 0 : 1;
    });
    wait_until([&] { return shared_->compiling == 1; });
    return holder;
  }
  // Milliseconds until hidden=64 is served to a process that waits for others at most wait_ms.
  double milliseconds_to_serve(int wait_ms) {
    StoreOptions options = on_disk();
    options.lock_wait_ms = wait_ms;
    auto store = make_store(options);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_TRUE(right(id_of("hidden=64"), store->acquire(id_of("hidden=64"), kCuda13)));
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    return took.count();
  }

  Shared* shared_ = nullptr;
};

TEST_F(ManyProcesses, SixtyFourOnAnEmptyCacheCompileEachKeyOnceFiftyTimesOver) {
  std::vector<KernelId> ids;
  for (int k = 0; k < kKeys; ++k) ids.push_back(id_of("hidden=" + std::to_string(64 + k)));
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    shared_->ready = shared_->go = shared_->compiles = 0;
    std::vector<pid_t> children;
    for (int p = 0; p < kProcesses; ++p) {
      children.push_back(start([&] {
        auto store = make_store(on_disk(), counted());
        ++shared_->ready;
        while (shared_->go == 0) usleep(100);
        for (int k = 0; k < kKeys; ++k) {
          const KernelId& id = ids[static_cast<size_t>((p + k) % kKeys)];
          if (!right(id, store->acquire(id, kCuda13))) return 1;
        }
        return store->counters().write_failures + store->counters().damaged == 0 ? 0 : 2;
      }));
    }
    wait_until([&] { return shared_->ready == kProcesses; });
    shared_->go = 1;
    for (const pid_t child : children) expect_done(child);
    ASSERT_EQ(shared_->compiles, kKeys) << "repetition " << repetition;
    std::filesystem::remove_all(dir_.path("cache"));
  }
}

TEST_F(ManyProcesses, AKilledCompilerHoldsNobodyUp) {
  const pid_t holder = start_holder();
  kill(holder, SIGKILL);
  waitpid(holder, nullptr, 0);
  EXPECT_LT(milliseconds_to_serve(60000), 5000) << "the kernel frees the lock";
}

TEST_F(ManyProcesses, OneThatIsKilledWhileOthersWaitIsReplacedAtOnce) {
  const pid_t holder = start_holder();
  std::vector<pid_t> waiters;
  for (int i = 0; i < 4; ++i) {
    waiters.push_back(start([&] {
      auto store = make_store(on_disk(), counted());
      ++shared_->ready;
      return right(id_of("hidden=64"), store->acquire(id_of("hidden=64"), kCuda13)) ? 0 : 1;
    }));
  }
  wait_until([&] { return shared_->ready == 4; });
  usleep(50000);  // into their wait, most of them; those that come later find the same
  kill(holder, SIGKILL);
  waitpid(holder, nullptr, 0);
  for (const pid_t waiter : waiters) expect_done(waiter);
  EXPECT_EQ(shared_->compiles, 1);
}

TEST_F(ManyProcesses, AStoppedCompilerIsWaitedForAsLongAsToldAndThenCompiledPast) {
  const pid_t holder = start_holder();
  kill(holder, SIGSTOP);
  const double took = milliseconds_to_serve(300);
  EXPECT_GE(took, 290);
  EXPECT_LT(took, 5300) << "the wait and one compile";
  kill(holder, SIGKILL);
  waitpid(holder, nullptr, 0);
}

}  // namespace
}  // namespace rmsjit
