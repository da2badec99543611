// SPDX-License-Identifier: Apache-2.0
#include "runtime/launch_plan.h"

#include <algorithm>
#include <iterator>

namespace rmsjit {
namespace {

int next_power_of_two(int64_t n) {
  int power = 1;
  while (power < n) power *= 2;
  return power;
}

constexpr int kFirstWithClusters = 90;

// 32-bit registers of what is loaded for a leaf before the sum: a realigned leaf comes with its
// neighbours' ends.
int input_leaf_words(const NormSpec& spec, int threads_per_row) {
  const int ends = realigns(spec, threads_per_row) ? 4 : 0;
  return leaf_words(spec, spec.x_dtype()) + ends +
         (spec.has_residual() ? leaf_words(spec, spec.residual_dtype_resolved()) + ends : 0);
}

// From `rmsnorm-bench tune` on an H100, bf16: the single plan of each size that costs least over
// row counts from 1 to 8192. Sizes are leaves, so that rows of f32 have the plan of their bytes.
// One that is not in the file has the block of the next larger one, or of the last; up to 32 leaves
// that block has as many threads a row as leaves, rounded up to a power of two. Other targets use
// the same file: what decides is latency inside one multiprocessor.
struct PlanRow {
  int most_leaves;
  BlockShape plain, add, plain_pdl, add_pdl;
};
using enum Trigger;
constexpr PlanRow kPlans[] = {
#include "runtime/plans/sm_90.inc"
};

// Rows that are realigned, up to 2048 leaves: a thread a leaf as long as one block of such rows
// still fills a multiprocessor's registers with others beside it, else at most three leaves a
// thread. Measured at 1001, 2881, 3073, 5125 and 7169 elements.
BlockShape realigned_shape(const NormSpec& spec, int leaves) {
  const int one_each = (leaves + 31) / 32 * 32;
  int threads = 256;
  while (leaves > 3 * threads) threads *= 2;
  if (one_each <= (spec.has_residual() ? 704 : 416)) threads = one_each;
  return {threads, threads <= 64 ? 4 : 1, spec.pdl == Pdl::kOn ? kLoads : kEnd};
}

// What a leaf costs a thread that keeps all of the row in registers.
struct LeafWords {
  int held, input, weight;
  int all() const { return held + input + weight; }
};

// Registers a thread of such a block may have, less about 24 for addresses, the sum and the
// arithmetic.
int register_budget(int threads) { return std::min(255, 65536 / std::max(threads, 256)) - 24; }

// Rows of a cluster that wait in shared memory are 10 % slower alone than in registers; eight
// blocks are best there (32768 elements: 2.3 us, with four 2.5). The longest rows have sixteen,
// with the fused add, which waits in registers anyhow, for every launch
// (tools/bench/results/NOTES.md).
Tuning::Second second_schedule(const NormSpec& spec, const BlockShape& shape, int leaves,
                               const LeafWords& words) {
  constexpr int kMostLeavesOfEightBlocks = 16384;
  Tuning::Second second{256, 8};
  if (shape.cluster == 1) return {};
  if (leaves > kMostLeavesOfEightBlocks) {
    second = {spec.has_residual() ? 512 : 256, 16, spec.has_residual()};
  } else if (spec.has_residual()) {
    return {};
  }
  const int row_threads = second.threads_per_row * second.cluster;
  const int slots = (leaves + row_threads - 1) / row_threads;
  const bool fits = slots * words.all() <= register_budget(second.threads_per_row);
  return fits ? second : Tuning::Second{};
}

// Shared memory that a block may have, less the partial sums.
int shared_limit(const Target& target) {
  const bool large = target.sm == 90 || target.sm == 100 || target.sm == 103 || target.sm == 110;
  return (large ? 227 : target.sm == 80 || target.sm == 87 ? 163 : 99) * 1024 - 4096;
}

// Long rows, and those of a cluster without a residual (few registers: more blocks a multiprocessor
// hide the cluster's exchange): shared memory first, registers for what is left of the row if they
// hold that, else the rest is read again. Measured: ptxas hoists so many loads that it spills long
// before the held leaves fill the registers.
void keep_in_shared_memory(Tuning& tuning, int slots, int held, int input, int budget,
                           int shared_most) {
  tuning.load_chunk = tuning.cluster > 1 ? std::max(16 / input, 1) : input > 8 ? 1 : 2;
  tuning.shared_slots = std::min(slots, shared_most);
  tuning.register_slots = slots - tuning.shared_slots;
  // Half of the budget; three homes for h would spill in any case.
  if (tuning.register_slots * held > budget / 2 - tuning.load_chunk * input / 2) {
    tuning.register_slots = 0;
  }
}

}  // namespace

Tuning complete_tuning(const NormSpec& spec, const Target& target, const BlockShape& shape) {
  Tuning tuning;
  tuning.threads_per_row = shape.threads;
  tuning.max_rows_per_block = shape.rows;
  tuning.cluster = shape.cluster;
  tuning.trigger = shape.trigger;
  const int leaves = leaves_of(spec);
  const int row_threads = shape.threads * shape.cluster;
  const int slots = (leaves + row_threads - 1) / row_threads;
  const LeafWords words{held_leaf_words(spec), input_leaf_words(spec, shape.threads),
                        leaf_words(spec, spec.weight_dtype())};
  const auto [held, input, weight] = words;
  const int budget = register_budget(shape.threads * shape.rows);
  tuning.load_chunk = slots;
  while (tuning.load_chunk > 1 && slots * held + tuning.load_chunk * input > budget) {
    tuning.load_chunk = (tuning.load_chunk + 1) / 2;
  }
  tuning.register_slots = std::min(slots, std::max(0, budget - tuning.load_chunk * input) / held);
  const bool many_blocks = shape.cluster > 1 && !spec.has_residual();
  if (slots > 8 || tuning.register_slots < slots || slots * shape.threads > 4096 || many_blocks) {
    keep_in_shared_memory(tuning, slots, held, input, budget,
                          shape.rows == 1 ? shared_limit(target) / (shape.threads * held * 4) : 0);
  }
  tuning.weight_early = tuning.register_slots == slots &&
                        slots * held + tuning.load_chunk * input + slots * weight <= budget;
  tuning.second = second_schedule(spec, shape, leaves, words);
  return tuning;
}

Tuning launch_plan(const NormSpec& spec, const Target& target) {
  const int leaves = leaves_of(spec);
  const PlanRow* row = kPlans;
  while (row->most_leaves < leaves && row != std::end(kPlans) - 1) ++row;
  const bool pdl = spec.pdl == Pdl::kOn;
  BlockShape shape =
      spec.has_residual() ? (pdl ? row->add_pdl : row->add) : (pdl ? row->plain_pdl : row->plain);
  if (leaves <= 32) {
    const int threads = next_power_of_two(leaves);
    shape.rows = shape.rows * shape.threads / threads;
    shape.threads = threads;
  } else if (leaves <= 2048 && realigns(spec, 32)) {
    shape = realigned_shape(spec, leaves);
  }
  if (target.sm < kFirstWithClusters) {
    shape.threads = std::min(shape.threads * shape.cluster, 1024);
    shape.cluster = 1;
  }
  // Found by compiling them all: wide inputs do not fit the 64 registers of 1024 threads.
  if (shape.threads == 1024 && input_leaf_words(spec, 1024) > 8) shape.threads = 512;
  return complete_tuning(spec, target, shape);
}

}  // namespace rmsjit
