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

constexpr int kFirstWithClusters = 90, kFirstWithBulkPrefetch = 90;

// Under PDL it was not measured: a weight may be loaded early there as it is.
bool may_ask_ahead(const NormSpec& spec, const Target& target) {
  return spec.has_weight() && spec.pdl != Pdl::kOn && target.sm >= kFirstWithBulkPrefetch;
}

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
// Extra schedules, for few rows and for many, where one is worth its place in the image.
constexpr PlanRow kPlansForFew[] = {
#include "runtime/plans/sm_90_few.inc"
};
constexpr PlanRow kPlansForMany[] = {
#include "runtime/plans/sm_90_many.inc"
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
    const auto scaled = [&](int rows) { return rows * shape.threads / threads; };
    shape.rows = scaled(shape.rows);
    // What a schedule for many rows counts are rows: as many blocks as where it was measured. None
    // for few rows, which counts blocks, is taken by shorter rows than its own.
    shape.bound = scaled(shape.bound);
    shape.end = scaled(shape.end);
    shape.threads = threads;
  }
  return shape;
}

struct Shapes {
  BlockShape first, few, many;
};

// Rows that are realigned, up to 2048 leaves. A thread a leaf while a block of such rows has
// another beside it; many rows hide more than a row's latency, so that they have more leaves a
// thread, and with a residual the weight late, which leaves registers for another block. A single
// row is packed where its tensors are, and then has the first. Bounds are so many elements a
// multiprocessor. Measured at 1001, 2881, 4001, 5125, 6001 and 7169 elements of bf16, and with f32
// at 2881, 5125 and 7169 (tools/bench/results/NOTES.md); what is neither `wide` nor `narrow` has
// the first alone.
Shapes realigned_shapes(const NormSpec& spec, const Target& target, int leaves) {
  const bool wide = leaf_elements(spec) == 4, add = spec.has_residual();
  const bool narrow = !wide && dtype_bytes(spec.x_dtype()) == 2 &&
                      (!add || dtype_bytes(spec.residual_dtype_resolved()) == 2);
  const auto block = [&](int threads, int64_t elements = 0, WeightLoad weight = kEarly) {
    const int bound =
        elements == 0 ? 0 : static_cast<int>(std::max(elements / spec.hidden + 1, int64_t{3}));
    const Trigger trigger = spec.pdl == Pdl::kOn ? kLoads : kEnd;
    return BlockShape{threads, threads <= 64 ? 4 : 1, trigger, 1, weight, bound};
  };
  // At most so many leaves a thread.
  const auto threads_for = [&](int fewest, int most) {
    while (leaves > most * fewest) fewest *= 2;
    return fewest;
  };
  const int one_each = (leaves + 31) / 32 * 32;
  const bool has_one_each = one_each <= (narrow ? 768 : 736);
  Shapes shapes;
  shapes.first = block(has_one_each ? one_each : threads_for(256, wide && !add ? 2 : 3));
  if (wide) {
    const bool longer = leaves > 1024 && leaves <= 1536;
    const bool late = longer || (add && has_one_each);
    shapes.many = block(longer ? 512 : threads_for(add ? 256 : 128, 6), add ? 30'000 : 15'000,
                        late ? kLate : kEarly);
    if (shapes.many.threads >= shapes.first.threads && !longer) shapes.many = {};
  } else if (narrow && add) {
    const bool fits = target.sm >= 90;  // ptxas spills for sm_80
    if (fits && has_one_each && leaves > 256) {
      shapes.many = block(threads_for(128, 3), 100'000, kLate);
    }
  } else if (narrow) {
    if (has_one_each && leaves > 384) {
      Shapes all{block(256), block(one_each, 15'000), block(128, 150'000)};
      all.few.bound *= 2;  // of two multiprocessors
      return all;
    }
    shapes.many = block(threads_for(128, 4), 15'000);
    if (shapes.many.threads >= shapes.first.threads) shapes.many = {};
  }
  // A block of 1024 threads has no other beside it.
  if (shapes.first.threads == 1024) shapes.many.bound = 1;
  return shapes;
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

// Long rows, and those of a cluster without a residual from 2048 leaves on (few registers: more
// blocks a multiprocessor hide the cluster's exchange): shared memory first, registers for what is
// left of the row if they hold that, else the rest is read again. Measured: ptxas hoists so many
// loads that it spills long before the held leaves fill the registers.
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

// The longest rows have sixteen blocks for every launch, where the device has room for them: in
// registers, or where no loads overlap (of the next kernel, of a residual) and there are more rows
// than places for clusters, in shared memory (tools/bench/results/NOTES.md). Realigned rows were
// not measured, and have none.
void add_sixteen_blocks(Tuning& tuning, const NormSpec& spec, const Target& target) {
  if (realigns(spec, 32)) return;
  const bool pdl = spec.pdl == Pdl::kOn;
  const auto registers = schedule_in_registers(spec, {256, 1, pdl ? kLoads : kEnd, 16});
  if (!pdl && !spec.has_residual()) {
    if (registers) tuning.few = {*registers, 2};
    tuning.many = {complete_schedule(spec, target, {512, 1, kEnd, 16}), 0};
  } else if (registers) {
    tuning.many = {*registers, 0};
  }
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
  const bool many_blocks = shape.cluster > 1 && !spec.has_residual() && leaves > 2048;
  if (slots > 8 || schedule.register_slots < slots || slots * shape.threads > 4096 || many_blocks) {
    keep_in_shared_memory(schedule, slots, held, input, budget,
                          shape.rows == 1 ? shared_limit(target) / (shape.threads * held * 4) : 0);
  }
  schedule.weight_early = spec.has_weight() && shape.weight != kLate &&
                          schedule.register_slots == slots &&
                          slots * held + schedule.load_chunk * input + slots * weight <= budget;
  schedule.weight_ahead =
      schedule.weight_early && shape.weight == kAhead && may_ask_ahead(spec, target);
  return schedule;
}

Tuning complete_tuning(const NormSpec& spec, const Target& target, const BlockShape& shape,
                       const BlockShape& few, const BlockShape& many) {
  Tuning tuning{complete_schedule(spec, target, shape), {}, {}};
  if (shape.cluster > 1 && leaves_of(spec) > kMostLeavesOfEightBlocks) {
    add_sixteen_blocks(tuning, spec, target);
    return tuning;
  }
  // Two shapes may be one schedule: without a weight, say.
  if (few.threads != 0) {
    const auto schedule =
        few.cluster > 1 ? schedule_in_registers(spec, few) : complete_schedule(spec, target, few);
    if (schedule && *schedule != tuning) tuning.few = {*schedule, few.bound};
  }
  if (many.threads != 0) {
    const Schedule schedule = complete_schedule(spec, target, many);
    if (schedule != tuning) tuning.many = {schedule, many.bound, many.end};
  }
  return tuning;
}

Tuning launch_plan(const NormSpec& spec, const Target& target) {
  const int leaves = leaves_of(spec);
  Shapes shapes{find_shape(kPlans, spec, leaves), {}, {}};
  if (!realigns(spec, 32)) {
    shapes.few = find_shape(kPlansForFew, spec, leaves);
    shapes.many = find_shape(kPlansForMany, spec, leaves);
  } else if (leaves > 32 && leaves <= 2048) {
    shapes = realigned_shapes(spec, target, leaves);
  }
  auto& [shape, few, many] = shapes;
  if (target.sm < kFirstWithClusters) {
    shape.threads = std::min(shape.threads * shape.cluster, 1024);
    shape.cluster = 1;
    if (few.cluster > 1) few = {};
    if (many.cluster > 1) many = {};
  }
  // Without that its fewer threads would not pay.
  if (few.weight == kAhead && !may_ask_ahead(spec, target)) few = {};
  // Found by compiling them all: wide inputs do not fit the 64 registers of 1024 threads.
  if (shape.threads == 1024 && leaf_costs(spec, 1024).input > 8) shape.threads = 512;
  return complete_tuning(spec, target, shape, few, many);
}

}  // namespace rmsjit
