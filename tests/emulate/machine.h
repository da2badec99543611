// SPDX-License-Identifier: Apache-2.0
// Machine: one emulated cluster at a time (a block, if it is alone): its threads as fibers, the
// scheduler, the barriers, the shuffle and barrier of a warp and the mail between blocks. Private
// to emulator.cc and hooks.cc.
#ifndef RMSJIT_TESTS_EMULATE_MACHINE_H_
#define RMSJIT_TESTS_EMULATE_MACHINE_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "tests/emulate/emulator.h"
#include "tests/emulate/fiber.h"
#include "tests/emulate/hooks.h"
#include "tests/emulate/ready_set.h"
#include "tests/emulate/shared_checker.h"

namespace rmsjit::emulate {

inline constexpr int kWarp = 32;
inline constexpr int kUp = -1, kNoLane = -2;
inline constexpr size_t kStackBytes = 512 * 1024;

// A call in the template.
struct Site {
  const char* file = nullptr;
  unsigned line = 0;
  bool operator==(const Site& other) const {
    return line == other.line && (file == other.file || std::strcmp(file, other.file) == 0);
  }
};

enum class State : uint8_t { kReady, kAtBarrier, kAtShuffle, kAtCluster, kAtGate, kDone };

struct Thread {
  State state = State::kReady;
  bool waited = false;   // for PDL
  bool arrived = false;  // at the cluster's barrier, and not waited there
  int cluster_waits = 0;
  bool passed_gate = false;
  Site site;
  uint32_t shuffle_value = 0;
  uint32_t shuffle_result = 0;
  int shuffle_mask = 0;  // kUp, kNoLane (a barrier of the warp), or what is xored to the lane
};

struct Block {
  SharedChecker shared;
  void* scratch = nullptr;
  int at_barrier = 0;
  int done = 0;
};

// fault() and the waits switch to another fiber; only the scheduler's thread calls run().
class Machine {
 public:
  Machine() : fibers_(kMaxThreads, kStackBytes), threads_(kMaxThreads) {}

  std::string run(const Launch& launch);

  // What hooks.cc needs of the thread that runs.
  const Launch& launch() const { return *launch_; }
  const Position& position() const { return position_; }
  SharedChecker& shared() { return block().shared; }
  Thread& current() { return threads_[static_cast<size_t>(current_)]; }
  int thread_in_block() const { return current_ % block_threads_; }
  unsigned block_in_grid() const {
    return first_block_ + static_cast<unsigned>(current_ / block_threads_);
  }
  uint32_t thread_in_grid() const {  // from 1
    return (block_in_grid() - launch_->first_block) * static_cast<unsigned>(block_threads_) +
           static_cast<unsigned>(thread_in_block()) + 1;
  }
  void step();
  void fault(std::string what);
  void barrier(Site site);
  void warp_barrier(Site site) { shuffle(0, kNoLane, site); }
  uint32_t shuffle(uint32_t value, int mask, Site site);
  void cluster_arrive(Site site);
  void cluster_wait(Site site);
  void send(unsigned rank, const void* cell, const void* gate, uint32_t bits);
  void wait_at_gate(const void* gate, Site site);

  void thread_main();

 private:
  void run_cluster();
  int pick();
  void block_until_ready(State state, Site site);
  void release(int first, int count, State state, const char* what);
  void release_shuffle(int warp);
  void check_idle();
  Block& block() { return blocks_[static_cast<size_t>(current_ / block_threads_)]; }

  FiberPool fibers_;
  std::vector<Thread> threads_;  // of all blocks, one block after the other
  std::vector<Block> blocks_;
  ReadySet ready_;
  const Launch* launch_ = nullptr;
  Position position_{};
  unsigned first_block_ = 0;  // of the cluster that runs
  int current_ = 0;
  int block_threads_ = 0;
  int thread_count_ = 0;
  std::vector<int> at_shuffle_;  // a warp
  int at_cluster_ = 0;           // arrived
  int cluster_phase_ = 0;        // how often all have
  int done_ = 0;
  uint32_t random_ = 1;
  std::string fault_;
};

Machine& machine();

}  // namespace rmsjit::emulate

#endif  // RMSJIT_TESTS_EMULATE_MACHINE_H_
