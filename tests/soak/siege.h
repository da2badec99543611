// SPDX-License-Identifier: Apache-2.0
// The siege: starts the swarm, lets the saboteur loose on its cache, kills and stops processes and
// compile workers, watches for threads that hang, and counts. Runs in one thread of one process.
#ifndef RMSJIT_TESTS_SOAK_SIEGE_H_
#define RMSJIT_TESTS_SOAK_SIEGE_H_

#include <sys/types.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "tests/runtime/fake_compiler.h"
#include "tests/soak/saboteur.h"
#include "tests/soak/swarm.h"

namespace rmsjit::soak {

inline constexpr int kMostProcesses = 16;

struct Shared {
  Counts counts;
  Member members[kMostProcesses];
};

struct Plan {
  int seconds = 120, processes = 4, threads = 4;
  unsigned seed = 1;
};

class Siege {
 public:
  // `root` is a folder for everything that is made; `shared` is memory that forked processes share.
  Siege(const Plan& plan, Shared& shared, const std::string& root);
  // Prints the line of figures; 0 if nothing was wrong, failed, hung or leaked.
  int run();

 private:
  void start(size_t i);
  void refill();
  void strike();
  void look_after();
  void finish();
  int report(const Misdeeds& misdeeds);

  const Plan plan_;
  Shared& shared_;
  const std::string root_;
  std::minstd_rand random_;
  std::vector<Swarm> swarms_;
  std::vector<pid_t> pids_;
  std::vector<int64_t> stopped_until_;  // 0: running
  FakeCompiler::Log log_;
  int64_t killed_ = 0, stopped_ = 0, workers_killed_ = 0, crashes_ = 0, hangs_ = 0;
};

}  // namespace rmsjit::soak

#endif  // RMSJIT_TESTS_SOAK_SIEGE_H_
