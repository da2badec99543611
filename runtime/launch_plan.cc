// SPDX-License-Identifier: Apache-2.0
#include "runtime/launch_plan.h"

#include <algorithm>

namespace rmsjit {
namespace {

int next_power_of_two(int64_t n) {
  int power = 1;
  while (power < n) power *= 2;
  return power;
}

// 32-bit registers of a leaf, and of what is loaded for one before the sum.
int leaf_words(DType dtype) { return 2 * static_cast<int>(dtype_bytes(dtype)); }
int input_leaf_words(const NormSpec& spec) {
  return leaf_words(spec.x_dtype()) +
         (spec.has_residual() ? leaf_words(spec.residual_dtype_resolved()) : 0);
}

struct Plan {
  int threads;  // a row
  int rows;     // at most
  Trigger trigger;
};

// From `rmsnorm-bench tune` on an H100, bf16: the single plan of each size that costs least over
// row counts from 1 to 8192. A size that is not in the file has the block of the next larger one;
// up to 32 leaves that block has as many threads a row as leaves, rounded up to a power of two.
// Other targets use the same file: what decides is latency inside one multiprocessor.
struct PlanRow {
  int most_leaves;
  Plan plain, add, plain_pdl, add_pdl;
};
using enum Trigger;
constexpr PlanRow kPlans[] = {
#include "runtime/plans/sm_90.inc"
};

// Shared memory that a block may have, less the partial sums.
int shared_limit(const Target& target) {
  const bool large = target.sm == 90 || target.sm == 100 || target.sm == 103 || target.sm == 110;
  return (large ? 227 : target.sm == 80 || target.sm == 87 ? 163 : 99) * 1024 - 4096;
}

// Long rows: shared memory first, registers for what is left of the row if they hold that, else the
// rest is read again. Measured: ptxas hoists so many loads that it spills long before the held
// leaves fill the registers.
void keep_in_shared_memory(Tuning& tuning, int slots, int held, int input, int budget,
                           int shared_most) {
  tuning.load_chunk = input > 8 ? 1 : 2;
  tuning.shared_slots = std::min(slots, shared_most);
  tuning.register_slots = slots - tuning.shared_slots;
  // Half of the budget; three homes for h would spill in any case.
  if (tuning.register_slots * held > budget / 2 - tuning.load_chunk * input / 2) {
    tuning.register_slots = 0;
  }
}

}  // namespace

Tuning complete_tuning(const NormSpec& spec, const Target& target, int threads_per_row,
                       int max_rows_per_block, Trigger trigger) {
  Tuning tuning;
  tuning.threads_per_row = threads_per_row;
  tuning.max_rows_per_block = max_rows_per_block;
  tuning.trigger = trigger;
  const int leaves = static_cast<int>((spec.hidden + 7) / 8);
  const int slots = (leaves + threads_per_row - 1) / threads_per_row;
  const int held = held_leaf_words(spec);
  const int input = input_leaf_words(spec);
  const int weight = leaf_words(spec.weight_dtype());
  // Registers a thread may have, less about 24 for addresses, the sum and the arithmetic.
  const int block = std::max(threads_per_row * max_rows_per_block, 256);
  const int budget = std::min(255, 65536 / block) - 24;
  tuning.load_chunk = slots;
  while (tuning.load_chunk > 1 && slots * held + tuning.load_chunk * input > budget) {
    tuning.load_chunk = (tuning.load_chunk + 1) / 2;
  }
  tuning.register_slots = std::min(slots, std::max(0, budget - tuning.load_chunk * input) / held);
  if (slots > 8 || tuning.register_slots < slots || slots * threads_per_row > 4096) {
    keep_in_shared_memory(
        tuning, slots, held, input, budget,
        max_rows_per_block == 1 ? shared_limit(target) / (threads_per_row * held * 4) : 0);
  }
  tuning.weight_early = tuning.register_slots == slots &&
                        slots * held + tuning.load_chunk * input + slots * weight <= budget;
  return tuning;
}

Tuning launch_plan(const NormSpec& spec, const Target& target) {
  const int leaves = static_cast<int>((spec.hidden + 7) / 8);
  const PlanRow* row = kPlans;
  while (row->most_leaves < leaves) ++row;
  const bool pdl = spec.pdl == Pdl::kOn;
  const Plan& plan =
      spec.has_residual() ? (pdl ? row->add_pdl : row->add) : (pdl ? row->plain_pdl : row->plain);
  int threads = plan.threads;
  int rows = plan.rows;
  if (leaves <= 32) {
    threads = next_power_of_two(leaves);
    rows = plan.rows * plan.threads / threads;
  }
  // Found by compiling them all: wide inputs do not fit the 64 registers of 1024 threads.
  if (threads == 1024 && input_leaf_words(spec) > 8) threads = 512;
  return complete_tuning(spec, target, threads, rows, plan.trigger);
}

int rows_per_block(const Tuning& tuning, int64_t rows, int multiprocessors) {
  constexpr int kFewestThreads = 128;
  int count = tuning.max_rows_per_block;
  while (count / 2 * tuning.threads_per_row >= kFewestThreads &&
         rows < static_cast<int64_t>(count) * multiprocessors) {
    count /= 2;
  }
  return count;
}

}  // namespace rmsjit
