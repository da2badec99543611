// SPDX-License-Identifier: Apache-2.0
// 200 signals spread over builds of the command, one a build: each ends it in order. NVRTC compiles
// in the command's own process, and replaces signal handlers where nobody keeps it from that.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/tools/run_cli.h"

namespace rmsjit {
namespace {

using nlohmann::json;

constexpr int kSignals = 200;

// From the kernel's own account of the process; false too when there is none any more.
bool handles(pid_t process, int number) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("SigCgt:", 0) != 0) continue;
    return (std::stoull(line.substr(7), nullptr, 16) >> (number - 1) & 1) != 0;
  }
  return false;
}

bool is_over(pid_t process) {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(process), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
         info.si_pid == process;
}

class CliSignals : public CliBuildTest {
 protected:
  struct Count {
    int stopped = 0, finished = 0, late = 0;
  };

  static std::vector<std::string> arguments(const std::string& out) {
    return {"build",  "--json",   "--out", out, "--jobs", "1", "--arch", "sm_80,sm_90,sm_100",
            "--spec", "hidden=64"};
  }
  // One build, and a signal `delay_us` after the command began to listen.
  void interrupt(int turn, int number, int64_t delay_us, Count& count) {
    const std::string out = path("bundle");
    std::filesystem::remove_all(out);
    const auto send = [&](pid_t child) {
      while (!handles(child, number) && !is_over(child)) std::this_thread::yield();
      usleep(static_cast<useconds_t>(delay_us));
      kill(child, number);  // not waited for yet, so the id is still its own
    };
    const CliResult result = run_cli(arguments(out), {.while_running = send});
    SCOPED_TRACE("signal " + std::to_string(number) + ", turn " + std::to_string(turn) +
                 ", after " + std::to_string(delay_us) + " us: exit " +
                 std::to_string(result.exit_code) + ", ended by " + std::to_string(result.signal) +
                 "; " + result.err);
    const auto said = "stopped by signal " + std::to_string(number);
    const json listed = verify().json();
    EXPECT_EQ(listed["summary"]["ok"], listed["summary"]["total"]);
    EXPECT_TRUE(files_below(out + "/v1/tmp").empty());
    if (result.exit_code == 1) {
      ++count.stopped;
      EXPECT_NE(result.err.find(said), std::string::npos);
      EXPECT_EQ(result.json()["summary"]["failed"].get<int>() + listed["summary"]["ok"].get<int>(),
                3);
    } else if (result.signal == number) {
      ++count.late;  // past the last kernel nobody listens any more
      EXPECT_EQ(listed["summary"]["ok"], 3);
    } else {
      ++count.finished;
      EXPECT_EQ(result.exit_code, 0);
      EXPECT_EQ(listed["summary"]["ok"], 3);
    }
  }
};

TEST_F(CliSignals, TwoHundredSpreadOverBuildsEndEachInOrder) {
  const json whole = run_cli(arguments(path("bundle"))).json();
  const auto build_us = static_cast<int64_t>(whole["summary"]["elapsed_ms"].get<double>() * 1000);
  Count count;
  for (int turn = 0; turn < kSignals && !HasFailure(); ++turn) {
    // Drifts through every phase.
    interrupt(turn, turn % 2 == 0 ? SIGINT : SIGTERM, build_us * (turn * 89 % kSignals) / kSignals,
              count);
  }
  RecordProperty("stopped", count.stopped);
  RecordProperty("finished", count.finished);
  RecordProperty("late", count.late);
  EXPECT_GT(count.stopped, kSignals / 4)
      << count.finished << " finished, " << count.late << " late";
}

}  // namespace
}  // namespace rmsjit
