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

struct Block {
  int threads;  // a row
  int rows;     // at most
};

// The plan of every size up to most_leaves (a leaf is 8 elements), from `rmsnorm-bench tune` on an
// H100, bf16, rows 1 to 8192, PDL on and off: the single plan that costs least over all row counts.
// Up to 32 leaves a row has as many threads as leaves, rounded up to a power of two. Other targets
// use the same table: what decides is latency inside one multiprocessor, which they share.
struct PlanRow {
  int most_leaves;
  Block plain, add;
};
constexpr PlanRow kPlans[] = {
    {4, {4, 32}, {4, 32}},     {16, {16, 16}, {16, 16}},   {32, {32, 8}, {32, 8}},
    {64, {64, 2}, {64, 2}},    {512, {128, 1}, {128, 1}},  {640, {128, 2}, {128, 1}},
    {896, {128, 1}, {256, 1}}, {2048, {256, 1}, {256, 1}}, {1 << 20, {512, 1}, {512, 1}},
};
constexpr int kTriggerFirstLeaves = 512;

// Shared memory that a block may have, less the partial sums.
int shared_limit(const Target& target) {
  const bool large = target.sm == 90 || target.sm == 100 || target.sm == 103 || target.sm == 110;
  return (large ? 227 : target.sm == 80 || target.sm == 87 ? 163 : 99) * 1024 - 4096;
}

}  // namespace

Tuning complete_tuning(const NormSpec& spec, const Target& target, int threads_per_row,
                       int max_rows_per_block) {
  Tuning tuning;
  tuning.threads_per_row = threads_per_row;
  tuning.max_rows_per_block = max_rows_per_block;
  const auto words = [](DType dtype) { return 2 * static_cast<int>(dtype_bytes(dtype)); };
  const int leaves = static_cast<int>((spec.hidden + 7) / 8);
  const int slots = (leaves + threads_per_row - 1) / threads_per_row;
  const int held = held_leaf_words(spec);
  const int input =
      words(spec.x_dtype()) + (spec.has_residual() ? words(spec.residual_dtype_resolved()) : 0);
  const int weight = words(spec.weight_dtype());
  // Registers a thread may have, less about 24 for addresses, the sum and the arithmetic.
  const int block = std::max(threads_per_row * max_rows_per_block, 256);
  const int budget = std::min(255, 65536 / block) - 24;
  tuning.trigger_first = spec.pdl == Pdl::kOn && leaves >= kTriggerFirstLeaves;
  tuning.load_chunk = slots;
  while (tuning.load_chunk > 1 && slots * held + tuning.load_chunk * input > budget) {
    tuning.load_chunk = (tuning.load_chunk + 1) / 2;
  }
  tuning.register_slots = std::min(slots, std::max(0, budget - tuning.load_chunk * input) / held);
  if (slots > 8 || tuning.register_slots < slots) {
    // Measured: beyond eight slots ptxas hoists so many loads that it spills long before the sum of
    // what is held reaches the limit, and shared memory is as good a home.
    tuning.load_chunk = 2;
    tuning.register_slots = std::min(slots, std::max(0, budget * 2 / 5 - 2 * input) / held);
  }
  tuning.weight_early = tuning.register_slots == slots &&
                        slots * held + tuning.load_chunk * input + slots * weight <= budget;
  if (max_rows_per_block == 1) {
    const int slot_bytes = threads_per_row * held * 4;
    const int shared_most = shared_limit(target) / slot_bytes;
    // Three homes for h would spill: the second read needs the registers.
    if (tuning.register_slots + shared_most < slots) tuning.register_slots = 0;
    tuning.shared_slots = std::min(slots - tuning.register_slots, shared_most);
    // Found by compiling them all: wide inputs and two homes leave room for one leaf in flight.
    if (tuning.register_slots > 0 && tuning.shared_slots > 0 && input > 8) tuning.load_chunk = 1;
  }
  return tuning;
}

Tuning launch_plan(const NormSpec& spec, const Target& target) {
  const int leaves = static_cast<int>((spec.hidden + 7) / 8);
  const PlanRow* row = kPlans;
  while (row->most_leaves < leaves) ++row;
  const Block& block = spec.has_residual() ? row->add : row->plain;
  const int threads = leaves <= 32 ? next_power_of_two(leaves) : block.threads;
  return complete_tuning(spec, target, threads, block.rows);
}

int rows_per_block(const Tuning& tuning, int64_t rows, int multiprocessors) {
  const int least = tuning.min_rows_per_block();
  int count = tuning.max_rows_per_block;
  while (count / 2 >= least && rows < static_cast<int64_t>(count) * multiprocessors) count /= 2;
  return count;
}

}  // namespace rmsjit
