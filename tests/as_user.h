// SPDX-License-Identifier: Apache-2.0
// as_user: the same program as another user, for tests that run as root.
#ifndef RMSJIT_TESTS_AS_USER_H_
#define RMSJIT_TESTS_AS_USER_H_

#include <grp.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>

namespace rmsjit {

// Nobody that a passwd file knows.
inline constexpr uid_t kAlice = 12345, kBob = 12346;
inline constexpr gid_t kTeam = 23456;

// Runs `body` as another user, in a child; true if it returned true.
inline bool as_user(uid_t user, gid_t group, const std::function<bool()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    if (setgroups(0, nullptr) != 0 || setgid(group) != 0 || setuid(user) != 0) _exit(3);
    const bool good = body();
    std::fflush(nullptr);
    _exit(good && !testing::Test::HasFailure() ? 0 : 1);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace rmsjit

#endif  // RMSJIT_TESTS_AS_USER_H_
