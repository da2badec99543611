// SPDX-License-Identifier: Apache-2.0
#include "runtime/launch_plan.h"

#include <algorithm>
#include <optional>
#include <span>

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

// From `rmsnorm-bench tune` on an H100 and an H200, bf16: of each size the plan that costs least
// over the row counts of its record. Sizes are leaves, so that rows of f32 have the plan of their
// bytes. One that is not in the file has the block of the next larger one, or of the last; up to 32
// leaves that block has fewer threads a row and more rows, as the leaves (rounded up to a power of
// two) are fewer. Other targets use the same files: what decides is latency inside one
// multiprocessor.
struct PlanRow {
  int most_leaves;
  BlockShape plain, add, plain_pdl, add_pdl;
};
using enum Trigger;
using enum WeightLoad;
constexpr PlanRow kPlans[] = {
#include "runtime/plans/sm_90.inc"
};
// Second schedules, for many rows or for few, where one is worth its place in the image.
constexpr PlanRow kSecondPlans[] = {
#include "runtime/plans/sm_90_second.inc"
};

BlockShape find_shape(std::span<const PlanRow> plans, const NormSpec& spec, int leaves) {
  auto row = plans.begin();
  while (row->most_leaves < leaves && row != plans.end() - 1) ++row;
  const bool pdl = spec.pdl == Pdl::kOn;
  BlockShape shape =
      spec.has_residual() ? (pdl ? row->add_pdl : row->add) : (pdl ? row->plain_pdl : row->plain);
  if (leaves <= 32 && shape.threads != 0) {
    const int fewest = leaf_elements(spec) == 4 && leaves > 1 ? 2 : 1;
    const int threads =
        std::max(next_power_of_two(leaves) * shape.threads / row->most_leaves, fewest);
    shape.rows = shape.rows * shape.threads / threads;
    shape.threads = threads;
  }
  return shape;
}

// Rows that are realigned, up to 2048 leaves: a thread a leaf as long as a block of such rows has
// another beside it, else at most three leaves a thread, two where a leaf is four elements of plain
// rows. Measured at 1001, 2881, 5125 and 7169 elements.
BlockShape realigned_shape(const NormSpec& spec, int leaves) {
  const int one_each = (leaves + 31) / 32 * 32;
  int threads = 256;
  const int most = leaf_elements(spec) == 4 && !spec.has_residual() ? 2 : 3;
  while (leaves > most * threads) threads *= 2;
  if (one_each <= 736) threads = one_each;
  return {threads, threads <= 64 ? 4 : 1, spec.pdl == Pdl::kOn ? kLoads : kEnd};
}

// The same for many rows, measured with them: more leaves a thread, because more rows in flight
// hide more than a row's latency. With leaves of eight elements only where x is of 16 bits and
// there is no residual: others gained nothing, or were not measured.
BlockShape realigned_for_many(const NormSpec& spec, int leaves, const BlockShape& few) {
  const bool wide = leaf_elements(spec) == 4;
  if (!wide && (spec.has_residual() || dtype_bytes(spec.x_dtype()) != 2)) return {};
  BlockShape many = few;
  many.threads = spec.has_residual() ? 256 : 128;
  while (leaves > (wide ? 6 : 4) * many.threads) many.threads *= 2;
  // From so many elements a multiprocessor on; a block of 1024 threads has no other beside it.
  const int64_t elements = spec.has_residual() ? 40'000 : 15'000;
  many.from =
      few.threads == 1024 ? 1 : static_cast<int>(std::max(elements / spec.hidden + 1, int64_t{3}));
  return many.threads < few.threads ? many : BlockShape{};
}

// What a leaf costs a thread that keeps all of the row in registers.
struct LeafWords {
  int held, input, weight;
  int all() const { return held + input + weight; }
};

LeafWords leaf_costs(const NormSpec& spec, int threads_per_row) {
  return {held_leaf_words(spec), input_leaf_words(spec, threads_per_row),
          leaf_words(spec, spec.weight_dtype())};
}

// Registers a thread of such a block may have, less about 24 for addresses, the sum and the
// arithmetic.
int register_budget(int threads) { return std::min(255, 65536 / std::max(threads, 256)) - 24; }

// Shared memory that a block may have, less the partial sums.
int shared_limit(const Target& target) {
  const bool large = target.sm == 90 || target.sm == 100 || target.sm == 103 || target.sm == 110;
  return (large ? 227 : target.sm == 80 || target.sm == 87 ? 163 : 99) * 1024 - 4096;
}

// Long rows, and those of a cluster without a residual (few registers: more blocks a multiprocessor
// hide the cluster's exchange): shared memory first, registers for what is left of the row if they
// hold that, else the rest is read again. Measured: ptxas hoists so many loads that it spills long
// before the held leaves fill the registers.
void keep_in_shared_memory(Schedule& schedule, int slots, int held, int input, int budget,
                           int shared_most) {
  schedule.load_chunk = schedule.cluster > 1 ? std::max(16 / input, 1) : input > 8 ? 1 : 2;
  schedule.shared_slots = std::min(slots, shared_most);
  schedule.register_slots = slots - schedule.shared_slots;
  // Half of the budget; three homes for h would spill in any case.
  if (schedule.register_slots * held > budget / 2 - schedule.load_chunk * input / 2) {
    schedule.register_slots = 0;
  }
}

// The longest rows have sixteen blocks for every launch: in shared memory, or where the next kernel
// or a residual's loads are to overlap, in registers (tools/bench/results/NOTES.md). Realigned rows
// were not measured, and have none.
Tuning::Second second_of_longest(const NormSpec& spec, const Target& target, Trigger trigger) {
  if (realigns(spec, 32)) return {};
  const bool pdl = spec.pdl == Pdl::kOn;
  if (!pdl && !spec.has_residual()) {
    return {complete_schedule(spec, target, {512, 1, trigger, 16}), Tuning::Takes::kAll};
  }
  const auto all = schedule_in_registers(spec, {256, 1, pdl ? kLoads : kEnd, 16});
  return all ? Tuning::Second{*all, Tuning::Takes::kAll} : Tuning::Second{};
}

}  // namespace

std::optional<Schedule> schedule_in_registers(const NormSpec& spec, const BlockShape& shape) {
  const int leaves = leaves_of(spec);
  const int row_threads = shape.threads * shape.cluster;
  const int slots = (leaves + row_threads - 1) / row_threads;
  if (slots * leaf_costs(spec, shape.threads).all() > register_budget(shape.threads)) return {};
  Schedule schedule;
  schedule.threads_per_row = shape.threads;
  schedule.cluster = shape.cluster;
  schedule.register_slots = schedule.load_chunk = slots;
  schedule.trigger = shape.trigger;
  return schedule;
}

Schedule complete_schedule(const NormSpec& spec, const Target& target, const BlockShape& shape) {
  Schedule schedule;
  schedule.threads_per_row = shape.threads;
  schedule.max_rows_per_block = shape.rows;
  schedule.cluster = shape.cluster;
  schedule.trigger = shape.trigger;
  const int leaves = leaves_of(spec);
  const int row_threads = shape.threads * shape.cluster;
  const int slots = (leaves + row_threads - 1) / row_threads;
  const auto [held, input, weight] = leaf_costs(spec, shape.threads);
  const int budget = register_budget(shape.threads * shape.rows);
  schedule.load_chunk = slots;
  while (schedule.load_chunk > 1 && slots * held + schedule.load_chunk * input > budget) {
    schedule.load_chunk = (schedule.load_chunk + 1) / 2;
  }
  schedule.register_slots =
      std::min(slots, std::max(0, budget - schedule.load_chunk * input) / held);
  const bool many_blocks = shape.cluster > 1 && !spec.has_residual();
  if (slots > 8 || schedule.register_slots < slots || slots * shape.threads > 4096 || many_blocks) {
    keep_in_shared_memory(schedule, slots, held, input, budget,
                          shape.rows == 1 ? shared_limit(target) / (shape.threads * held * 4) : 0);
  }
  schedule.weight_early = spec.has_weight() && shape.weight == kEarly &&
                          schedule.register_slots == slots &&
                          slots * held + schedule.load_chunk * input + slots * weight <= budget;
  return schedule;
}

Tuning complete_tuning(const NormSpec& spec, const Target& target, const BlockShape& shape,
                       const BlockShape& second) {
  Tuning tuning{complete_schedule(spec, target, shape), {}};
  if (shape.cluster > 1 && leaves_of(spec) > kMostLeavesOfEightBlocks) {
    tuning.second = second_of_longest(spec, target, shape.trigger);
  } else if (second.cluster > 1) {
    const auto few = schedule_in_registers(spec, second);
    if (few && *few != tuning) tuning.second = {*few, Tuning::Takes::kFew};
  } else if (second.threads != 0 && shape.cluster == 1) {
    const Schedule many = complete_schedule(spec, target, second);
    // Without a weight two shapes may be one schedule.
    if (many != tuning) tuning.second = {many, Tuning::Takes::kMany, second.from};
  }
  return tuning;
}

Tuning launch_plan(const NormSpec& spec, const Target& target) {
  const int leaves = leaves_of(spec);
  BlockShape shape = find_shape(kPlans, spec, leaves);
  BlockShape second = find_shape(kSecondPlans, spec, leaves);
  if (realigns(spec, 32)) {
    second = {};
    if (leaves > 32 && leaves <= 2048) {
      shape = realigned_shape(spec, leaves);
      second = realigned_for_many(spec, leaves, shape);
    }
  }
  if (target.sm < kFirstWithClusters) {
    shape.threads = std::min(shape.threads * shape.cluster, 1024);
    shape.cluster = 1;
    if (second.cluster > 1) second = {};
  }
  // Found by compiling them all: wide inputs do not fit the 64 registers of 1024 threads.
  if (shape.threads == 1024 && leaf_costs(spec, 1024).input > 8) shape.threads = 512;
  return complete_tuning(spec, target, shape, second);
}

}  // namespace rmsjit
