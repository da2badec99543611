// SPDX-License-Identifier: Apache-2.0
#include "cache/file_lock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace rmsjit {
namespace {

int set_lock(int fd, short type, int64_t offset) {
  struct flock range {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = offset;
  range.l_len = 1;
  return retry_interrupted([&] { return fcntl(fd, F_OFD_SETLK, &range); });
}

// The only file that is opened for writing when it exists: a write lock needs it, and nothing is
// ever written.
Fd open_lock_file(int directory, const std::string& name, mode_t mode) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  Fd fd(retry_interrupted([&] { return openat(directory, name.c_str(), kFlags, mode); }));
  struct stat facts {};
  if (fd.valid() && (facts_of(fd.get(), &facts) != 0 || !S_ISREG(facts.st_mode))) fd.reset();
  return fd;
}

}  // namespace

LockAttempt take_lock(int directory, const std::string& name, mode_t mode, int64_t offset,
                      int wait_ms) {
  using Clock = std::chrono::steady_clock;  // a stepped wall clock must not stretch the wait
  const auto deadline = Clock::now() + std::chrono::milliseconds(std::max(wait_ms, 0));
  constexpr Clock::duration kLongestPause = std::chrono::milliseconds(20);
  Clock::duration pause = std::chrono::milliseconds(1);
  LockAttempt attempt;
  attempt.fd = open_lock_file(directory, name, mode);
  while (attempt.fd.valid()) {
    if (set_lock(attempt.fd.get(), F_WRLCK, offset) == 0) return attempt;
    const bool taken = errno == EAGAIN;  // EACCES is a policy that says no: waiting is no use
    const Clock::duration left = deadline - Clock::now();
    attempt.waited = attempt.waited || taken;
    if (!taken || left.count() <= 0) {
      attempt.fd.reset();
      break;
    }
    std::this_thread::sleep_for(std::min(pause, left));
    pause = std::min(2 * pause, kLongestPause);
  }
  return attempt;
}

void drop_lock(int fd, int64_t offset) {
  (void)set_lock(fd, F_UNLCK, offset);
  (void)close(fd);
}

Fd open_runtime_directory() {
  Fd fd;
  const char* path = secure_getenv("XDG_RUNTIME_DIR");
  if (path == nullptr || path[0] != '/') return fd;
  struct stat facts {};
  if (open_directory(path, &fd) != 0) return fd;
  if (facts_of(fd.get(), &facts) != 0 || facts.st_uid != geteuid() || (facts.st_mode & 022) != 0) {
    fd.reset();
  }
  return fd;
}

}  // namespace rmsjit
