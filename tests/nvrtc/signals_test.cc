// SPDX-License-Identifier: Apache-2.0
// 200 real signals spread over real compiles, in a worker and inside: each reaches the host's own
// handler, none ends the process, nothing hangs.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/nvrtc/nvrtc_fixture.h"
#include "tests/runtime/compiler_fixture.h"

namespace rmsjit {
namespace {

std::atomic<int> g_seen{0};
void count_signal(int) { ++g_seen; }

constexpr int kSignals = 200;

// The exit code of a host that is sent `number` at moments that walk over the compile: 1 a signal
// was lost, 2 a compile failed, 3 too many were seen.
int host_under_fire(int number, std::unique_ptr<Compiler> (*make)(const CompilerOptions&)) {
  alarm(240);  // a deadlock ends by a signal that the host does not handle
  signal(number, count_signal);
  const auto compiler = make(real_options());
  const CompileRequest request = request_for("hidden=256", "sm_90");
  std::atomic<bool> stop{false}, failed{false};
  std::thread compiling([&] {
    while (!stop) {
      if (!compiler->compile(request).ok()) failed = true;
    }
  });
  bool lost = false;
  for (int sent = 1; sent <= kSignals; ++sent) {
    usleep(static_cast<useconds_t>(sent * 7919 % 20000));  // drifts through every phase
    kill(getpid(), number);
    lost = !wait_until([&] { return g_seen >= sent; }) || lost;
  }
  stop = true;
  compiling.join();
  return lost ? 1 : failed ? 2 : g_seen == kSignals ? 0 : 3;
}

class Signals : public NvrtcTest {};

TEST_F(Signals, SigtermReachesTheHostWhileItCompilesInside) {
  EXPECT_EQ(in_another_host([] { return host_under_fire(SIGTERM, make_inprocess_compiler); }), 0);
}
TEST_F(Signals, SigintReachesTheHostWhileItCompilesInside) {
  EXPECT_EQ(in_another_host([] { return host_under_fire(SIGINT, make_inprocess_compiler); }), 0);
}
TEST_F(Signals, SigtermReachesTheHostWhileAWorkerCompiles) {
  EXPECT_EQ(in_another_host([] { return host_under_fire(SIGTERM, make_worker_compiler); }), 0);
}
TEST_F(Signals, SigintReachesTheHostWhileAWorkerCompiles) {
  EXPECT_EQ(in_another_host([] { return host_under_fire(SIGINT, make_worker_compiler); }), 0);
}

}  // namespace
}  // namespace rmsjit
