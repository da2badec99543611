// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/self_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/bench/cuda_session.h"

namespace rmsjit::bench {

std::string run_self(const std::vector<std::string>& arguments) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw CudaError("pipe2 failed");
  std::vector<char*> argv = {const_cast<char*>("rmsnorm-bench")};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t child = 0;
  const int failed = posix_spawn(&child, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string out;
  char piece[65536];
  for (ssize_t got; failed == 0 && (got = read(ends[0], piece, sizeof piece)) > 0;) {
    out.append(piece, static_cast<size_t>(got));
  }
  close(ends[0]);
  int status = -1;
  if (failed == 0) waitpid(child, &status, 0);
  if (status != 0) throw CudaError("rmsnorm-bench " + arguments[0] + " --child failed");
  return out;
}

}  // namespace rmsjit::bench
