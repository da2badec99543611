// SPDX-License-Identifier: Apache-2.0
// One emulated launch of one kernel: tensors of the given shapes filled from a row pool, the
// launch, and every check of what it left behind.
#ifndef RMSJIT_TESTS_EMULATE_LAUNCH_CASE_H_
#define RMSJIT_TESTS_EMULATE_LAUNCH_CASE_H_

#include <cstdint>
#include <string>

#include "tests/emulate/emulator.h"
#include "tests/emulate/kernel.h"
#include "tests/emulate/kernel_set.h"
#include "tests/emulate/row_pool.h"

namespace rmsjit::emulate {

using Entry = KernelEntry;

// How a tensor lies in memory. Pads are elements beyond the tight stride; of a packed entry
// strides are rounded up to 16 bytes.
struct Memory {
  int64_t offset_bytes = 0;
  int64_t token_pad = 0;
  int64_t head_pad = 0;
  bool heads_outside = false;  // [heads, tokens, hidden] in memory
};

struct LaunchCase {
  int64_t tokens = 1;
  int64_t heads = 1;  // 1 unless the spec's layout is heads
  // Tokens before the batch that only exist as numbers: nothing is mapped there and their blocks
  // are not run. A multiple of rows_per_block, and only with tokens > 1.
  int64_t skipped_tokens = 0;
  int first_row = 0;  // of the pool; row r of the batch is pool row first_row + r * row_step
  int row_step = 1;
  Entry entry = Entry::kAny;
  int rows_per_block = 1;
  Schedule schedule = Schedule::kAscending;
  uint32_t seed = 1;
  Memory x;
  Memory residual;
  Memory residual_out;  // unused in place, as y
  Memory y;
  int64_t weight_offset_bytes = 0;
};

// An empty string, or what the emulator, the guards or the comparison of bits found, with the case.
std::string run_case(const Kernel& kernel, const KernelPlan& plan, const RowPool& pool,
                     const LaunchCase& c);

}  // namespace rmsjit::emulate

#endif  // RMSJIT_TESTS_EMULATE_LAUNCH_CASE_H_
