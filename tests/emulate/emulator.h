// SPDX-License-Identifier: Apache-2.0
// Runs thread blocks of the kernel template on the CPU, one fiber a thread, and stops at the first
// fault: a barrier that not every thread reaches, or at two places; a shuffle or a barrier of a
// warp without all 32 lanes; a shared race; a global access outside the logical rows; a broken PDL
// rule; mail to a block of the cluster that may not run yet or has ended, or read before its gate.
// One launch at a time in a process.
#ifndef RMSJIT_TESTS_EMULATE_EMULATOR_H_
#define RMSJIT_TESTS_EMULATE_EMULATOR_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/emulate/memory_map.h"

namespace rmsjit::emulate {

// In which order the threads of a block run. A missing barrier is invisible to most single orders.
enum class Schedule {
  kAscending,       // the lowest thread that can run, to its next barrier or shuffle
  kDescending,      // the highest
  kRandomRunAhead,  // any, to its next barrier or shuffle
  kRandomStep,      // any, to its next access to memory
};
inline constexpr Schedule kSchedules[] = {Schedule::kAscending, Schedule::kDescending,
                                          Schedule::kRandomRunAhead, Schedule::kRandomStep};
const char* schedule_name(Schedule schedule);

struct Launch {
  void (*body)(const void* params, void* scratch) = nullptr;  // what one thread runs
  const void* params = nullptr;
  size_t scratch_bytes = 0;
  size_t scratch_align = 4;
  unsigned threads_per_row = 32;
  unsigned rows_per_block = 1;
  unsigned cluster = 1;  // blocks that run together; divides grid_x, first_block and blocks
  unsigned grid_x = 0;   // block b is at (b % grid_x, b / grid_x); 0: all are in x
  unsigned first_block = 0;
  unsigned blocks = 1;
  bool pdl = false;  // true: every thread has to wait; false: none may
  Schedule schedule = Schedule::kAscending;
  uint32_t seed = 1;
  MemoryMap* memory = nullptr;
};

// Runs the clusters one after the other, the blocks of one together. Returns an empty string, or
// the first fault.
std::string run(const Launch& launch);

}  // namespace rmsjit::emulate

#endif  // RMSJIT_TESTS_EMULATE_EMULATOR_H_
