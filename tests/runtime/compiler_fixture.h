// SPDX-License-Identifier: Apache-2.0
// What the compiler's tests share: options that point at the real worker and the fake NVRTC, and
// requests that tell the fake what to do.
#ifndef RMSJIT_TESTS_COMPILER_FIXTURE_H_
#define RMSJIT_TESTS_COMPILER_FIXTURE_H_

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "runtime/compiler.h"

namespace rmsjit {

inline CompilerOptions fake_options() {
  CompilerOptions options;
  options.nvrtc = RMSJIT_TEST_FAKE_NVRTC;
  options.worker = RMSJIT_TEST_WORKER;
  options.timeout_ms = 60000;
  options.jobs = 2;
  return options;
}

inline CompileRequest fake_request(const std::string& commands = "") {
  return {"hidden=8,x=bf16", "compute_90", commands, {"--std=c++17", "--no-cache"}};
}

// The value of "//name=..." in the fake's PTX.
inline std::string told(const std::string& ptx, const std::string& name) {
  const std::string label = "//" + name + "=";
  const size_t at = ptx.find(label);
  if (at == std::string::npos) return "not told";
  const size_t begin = at + label.size();
  return ptx.substr(begin, ptx.find('\n', begin) - begin);
}

inline pid_t told_pid(const Result<CompiledImage>& image) {
  return image.ok() ? static_cast<pid_t>(atoi(told(image->image, "pid").c_str())) : -1;
}

inline bool wait_until(const std::function<bool()>& condition, int seconds = 20) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// Runs `host` in a child process, which stands for a host with habits of its own; its exit code, or
// 1000 + the signal that ended it.
inline int in_another_host(const std::function<int()>& host) {
  const pid_t child = fork();
  if (child == 0) _exit(host());
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

}  // namespace rmsjit

#endif  // RMSJIT_TESTS_COMPILER_FIXTURE_H_
