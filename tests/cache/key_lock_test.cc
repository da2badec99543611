// SPDX-License-Identifier: Apache-2.0
// KeyLock: one holder a key across threads and processes, freed by the kernel, never waited for
// longer than asked.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "tests/cache/scratch.h"

namespace rmsjit {
namespace {

using Clock = std::chrono::steady_clock;

int64_t ms_since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
}

Digest digest(int number) { return sample_key(number).digest(); }

// A child that takes the lock of key 1, says so, and then does `then`.
class Holder {
 public:
  Holder(const std::string& dir, const std::function<void()>& then) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    pid_ = fork();
    if (pid_ == 0) {
      auto cache = open_cache(dir);
      KeyLock lock = cache->lock(digest(1), 1000);
      const char byte = lock.held() ? 'y' : 'n';
      if (write(ready[1], &byte, 1) == 1) then();
      _exit(0);
    }
    close(ready[1]);
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    EXPECT_EQ(byte, 'y');
    close(ready[0]);
  }
  ~Holder() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

void wait_for_ever() {
  for (;;) pause();
}

TEST(KeyLock, ExcludesAnotherProcessForThisKeyOnly) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  Holder holder(scratch.dir(), wait_for_ever);
  KeyLock mine = cache->lock(digest(1), 0);
  EXPECT_FALSE(mine.held());
  EXPECT_TRUE(mine.waited());
  for (int i = 2; i < 50; ++i) {
    KeyLock other = cache->lock(digest(i), 0);
    EXPECT_TRUE(other.held()) << i;
    EXPECT_FALSE(other.waited());
  }
}

TEST(KeyLock, KilledHolderFreesItAtOnce) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  Holder holder(scratch.dir(), wait_for_ever);
  std::thread killer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // the wait is what is tested
    kill(holder.pid(), SIGKILL);
  });
  const auto start = Clock::now();
  KeyLock mine = cache->lock(digest(1), 20000);
  killer.join();
  EXPECT_TRUE(mine.held());
  EXPECT_TRUE(mine.waited());
  EXPECT_LT(ms_since(start), 5000);
}

TEST(KeyLock, StoppedHolderIsWaitedForAsLongAsAskedAndNoLonger) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  Holder holder(scratch.dir(), wait_for_ever);
  ASSERT_EQ(kill(holder.pid(), SIGSTOP), 0);
  const auto start = Clock::now();
  KeyLock mine = cache->lock(digest(1), 200);
  EXPECT_FALSE(mine.held());
  EXPECT_TRUE(mine.waited());
  EXPECT_GE(ms_since(start), 200);
  EXPECT_LT(ms_since(start), 5000);
}

TEST(KeyLock, ExplicitUnlockFreesItThoughAForkedChildStillHasIt) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  KeyLock mine = cache->lock(digest(1), 0);
  ASSERT_TRUE(mine.held());
  const pid_t child = fork();
  if (child == 0) wait_for_ever();  // inherits the open file description
  {
    KeyLock taken = std::move(mine);
    EXPECT_FALSE(mine.held());
    EXPECT_TRUE(taken.held());
  }
  EXPECT_TRUE(cache->lock(digest(1), 0).held());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

TEST(KeyLock, ThreadsOfOneProcessExcludeEachOther) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  std::atomic<int> inside{0}, most{0}, failed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) {
        KeyLock lock = cache->lock(digest(1), 60000);
        if (!lock.held()) ++failed;
        const int now = ++inside;
        if (now > most) most = now;
        std::this_thread::yield();
        --inside;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
  EXPECT_EQ(failed, 0);
}

TEST(KeyLock, NothingLeaksIntoAProcessThatIsStarted) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  ASSERT_TRUE(cache->put(sample_entry(1)).ok());
  KeyLock mine = cache->lock(digest(1), 0);
  for (const auto& item : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const auto target = std::filesystem::read_symlink(item.path(), error).string();
    if (target.rfind(scratch.path(), 0) != 0) continue;
    const int fd = std::stoi(item.path().filename().string());
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << target;
  }
}

TEST(KeyLock, LockThatIsNoFileMeansNoLockAndNoHang) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  const std::string path = scratch.dir() + "/v1/lock";
  const std::function<int()> kinds[] = {
      [&] { return mkfifo(path.c_str(), 0600); },
      [&] { return symlink("/nowhere", path.c_str()); },
      [&] { return mkdir(path.c_str(), 0700); },
  };
  for (const auto& make : kinds) {
    std::filesystem::remove(path);
    ASSERT_EQ(make(), 0);
    const KeyLock lock = cache->lock(digest(1), 20000);
    EXPECT_FALSE(lock.held());
    EXPECT_FALSE(lock.waited());
    EXPECT_TRUE(cache->put(sample_entry(1)).ok()) << "correctness never needs the lock";
  }
}

}  // namespace
}  // namespace rmsjit
