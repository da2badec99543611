// SPDX-License-Identifier: Apache-2.0
// The swarm: processes of several threads that launch random specs through runtimes of their own,
// over one cache, on the stub driver. Each launch is checked: the image that was launched is the
// one of its spec. What happens is counted in memory that outlives a killed process.
#ifndef RMSJIT_TESTS_SOAK_SWARM_H_
#define RMSJIT_TESTS_SOAK_SWARM_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/compiler.h"
#include "runtime/kernel_key.h"

namespace rmsjit::soak {

inline constexpr int kMostThreads = 16;

// One process of the swarm, in shared memory.
struct Member {
  std::atomic<int64_t> beat[kMostThreads];  // Counts::ticks when each thread began its last launch
};

struct Counts {
  std::atomic<int64_t> launches, compiles, rounds, wrong, failed, workers_lost, leaks;
  // Counted by the siege while it runs, so that a machine that gives it no time makes nothing hang.
  std::atomic<int64_t> ticks;
  std::atomic<bool> stop;
};

// What a swarm launches, and what is right: the hash of each spec's image.
struct Work {
  std::vector<KernelId> kernels;
  std::vector<uint64_t> images;
};

struct Swarm {
  std::string cache_dir, bundle_dir;
  Work work;
  int threads = 4;
  bool real_compiler = false;  // NVRTC in a worker, which may be killed under us
  bool steady = false;         // this member is never killed: its memory is watched
};

// A compiler for one runtime: NVRTC in a worker, or one that takes a few milliseconds.
std::unique_ptr<Compiler> make_compiler(bool real, Counts& counts);

int64_t now_ms();
// Lives in a forked process until counts.stop; the exit code.
int live(const Swarm& swarm, unsigned seed, Member& member, Counts& counts);

}  // namespace rmsjit::soak

#endif  // RMSJIT_TESTS_SOAK_SWARM_H_
