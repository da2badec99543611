// SPDX-License-Identifier: Apache-2.0
#include "tests/runtime/host_state.h"

#include <dirent.h>
#include <errno.h>
#include <fenv.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>

namespace rmsjit {
namespace {

std::string members(const sigset_t& set) {
  std::string text;
  for (int number = 1; number < NSIG; ++number) {
    if (sigismember(&set, number) == 1) text += std::to_string(number) + " ";
  }
  return text;
}

std::string handler_of(int number) {
  struct sigaction action {};
  if (sigaction(number, nullptr, &action) != 0) return "none";
  std::ostringstream out;
  out << reinterpret_cast<const void*>(action.sa_handler) << " flags " << action.sa_flags
      << " mask " << members(action.sa_mask);
  return out.str();
}

}  // namespace

std::map<std::string, std::string> host_state() {
  std::map<std::string, std::string> state;
  for (int limit = 0; limit < RLIM_NLIMITS; ++limit) {
    rlimit value{};
    getrlimit(static_cast<__rlimit_resource>(limit), &value);
    state["limit " + std::to_string(limit)] =
        std::to_string(value.rlim_cur) + " of " + std::to_string(value.rlim_max);
  }
  for (int number = 1; number < NSIG; ++number) {
    state["signal " + std::to_string(number)] = handler_of(number);
  }
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  state["signal mask"] = members(mask);
  state["locale"] = setlocale(LC_ALL, nullptr);
  state["thread locale"] = uselocale(nullptr) == LC_GLOBAL_LOCALE ? "global" : "own";
  char folder[4096];
  state["folder"] = getcwd(folder, sizeof folder) ? folder : strerror(errno);
#if defined(__x86_64__)
  fenv_t environment;
  fegetenv(&environment);
  // The control bits; any addition may set the others.
  state["floating point"] = std::to_string(environment.__mxcsr & 0xffc0);
#endif
  state["rounding"] = std::to_string(fegetround());
  int cancel = 0;
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &cancel);
  pthread_setcancelstate(cancel, nullptr);
  state["cancel state"] = std::to_string(cancel);
  const mode_t mode = umask(0);
  umask(mode);
  state["umask"] = std::to_string(mode);
  state["process group"] = std::to_string(getpgrp());
  for (char** entry = environ; *entry != nullptr; ++entry) state["environment"] += *entry;
  return state;
}

std::map<int, std::string> open_descriptors() {
  std::map<int, std::string> found;
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return found;
  while (const dirent* entry = readdir(folder)) {
    const int number = atoi(entry->d_name);
    if (entry->d_name[0] == '.' || number == dirfd(folder)) continue;
    char target[512] = "";
    const std::string path = std::string("/proc/self/fd/") + entry->d_name;
    if (readlink(path.c_str(), target, sizeof target - 1) >= 0) found[number] = target;
  }
  closedir(folder);
  return found;
}

bool has_children() {
  siginfo_t info;
  return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

}  // namespace rmsjit
