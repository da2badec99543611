// SPDX-License-Identifier: Apache-2.0
// Forced plans walk through the legal thread counts by steps that are prime to most list lengths,
// so that over all specs every thread count, row count and home of h meets every kind of maths.
#include "tests/emulate/kernel_set.h"

#include <algorithm>
#include <iterator>

#include "rmsjit/spec_text.h"
#include "runtime/launch_plan.h"
#include "tests/spec_set.h"

namespace rmsjit::emulate {
namespace {

constexpr int kForcedPlans = 3;
constexpr int kTriggers = std::size(kTriggerNames);
constexpr int kMaxSlots = 64;  // leaves a thread: more takes long to compile and proves nothing new
constexpr int kSharedLimit = 200 * 1024;

std::vector<int> thread_counts(int leaves, int least, int most) {
  std::vector<int> counts;
  for (int threads = least; threads <= most; threads *= 2) {
    if ((leaves + threads - 1) / threads <= kMaxSlots) counts.push_back(threads);
  }
  return counts;
}

// Multiples of 32 that are no power of two and hold the row in one slot.
std::vector<int> odd_thread_counts(int leaves) {
  std::vector<int> counts;
  for (int threads = 96; threads <= 1024; threads += 32) {
    const bool power_of_two = (threads & (threads - 1)) == 0;
    if (!power_of_two && threads >= leaves) counts.push_back(threads);
  }
  return counts;
}

int pick_rows(int threads, int turn) {
  const int least = threads < 32 ? 32 / threads : 1;
  const int most = 1024 / threads;
  const int wanted[] = {1, 2, 3, 1, 4, 1, 5, 8};
  return std::clamp(wanted[turn % 8] * least, least, std::max(most / least * least, least));
}

// Where h waits: registers, shared memory, nowhere, or a part of each.
void force_homes(const NormSpec& spec, int turn, Tuning& tuning) {
  const int leaves = leaves_of(spec);
  const int row_threads = tuning.threads_per_row * tuning.cluster;
  const int slots = (leaves + row_threads - 1) / row_threads;
  const int slot_bytes = 4 * tuning.threads_per_row * held_leaf_words(spec);
  const int shareable = tuning.max_rows_per_block == 1 ? kSharedLimit / slot_bytes : 0;
  const int in_registers[] = {slots, slots / 2, 0, slots, 0, slots / 3};
  const int in_shared[] = {0, slots / 3, 0, 0, slots, slots};
  tuning.register_slots = in_registers[turn % 6];
  tuning.shared_slots = std::min({in_shared[turn % 6], slots - tuning.register_slots, shareable});
  tuning.weight_early = tuning.register_slots == slots && turn % 4 < 2;
}

// For few rows: where the row has a cluster that keeps it in shared memory, the same blocks in
// registers, or twice as many with half of the threads; else in every other plan a cluster of two,
// and in the others one row a block: of one or two warps, if it is that short, else its weight
// ahead.
void force_few(const NormSpec& spec, int turn, Tuning& tuning) {
  const bool odd = turn % 2 == 1;
  const auto trigger = static_cast<Trigger>((turn + 1) % kTriggers);
  const int leaves = leaves_of(spec);
  if (tuning.cluster > 1) {
    if (tuning.shared_slots == 0) return;
    const int more = odd && tuning.threads_per_row >= 64 ? 2 : 1;
    Schedule few = tuning;
    few.threads_per_row /= more;
    few.cluster *= more;
    const int row_threads = few.threads_per_row * few.cluster;
    few.register_slots = few.load_chunk = (leaves + row_threads - 1) / row_threads;
    few.shared_slots = 0;
    few.weight_early = true;
    tuning.few = {few, 2};
  } else if (odd && leaves >= 64 && leaves <= 2048) {
    const auto few = schedule_in_registers(spec, {leaves >= 512 ? 256 : 32, 1, trigger, 2});
    if (few) tuning.few = {*few, 2};
  } else if (!odd && leaves <= 64 && !realigns(spec, 32)) {
    tuning.few = {complete_schedule(spec, kTarget, {leaves <= 32 ? 32 : 64, 1, trigger}), 1};
  } else if (spec.has_weight() && leaves > 64 && leaves <= 512) {
    const BlockShape several{leaves <= 256 ? 64 : 128, 1, trigger, 1, WeightLoad::kAhead};
    tuning.few = {complete_schedule(spec, kTarget, several), 1};
  }
}

// For many rows: half or twice the threads in half of the plans, which are others than those for
// few; of a cluster half or twice its blocks.
void force_many(const NormSpec& spec, int turn, Tuning& tuning) {
  if (turn / 2 % 2 != 0 || leaves_of(spec) > 2048) return;
  const bool odd = turn % 2 == 1;
  BlockShape shape{tuning.threads_per_row, 1, static_cast<Trigger>((turn + 1) % kTriggers)};
  if (tuning.cluster > 1) {
    shape.cluster = odd && tuning.cluster > 2 ? tuning.cluster / 2 : 2 * tuning.cluster;
  } else {
    while ((shape.threads & (shape.threads - 1)) != 0) shape.threads &= shape.threads - 1;
    const int fewest = leaf_elements(spec) == 4 && leaves_of(spec) > 1 ? 2 : 1;
    shape.threads =
        odd && shape.threads >= 2 * fewest ? shape.threads / 2 : std::min(2 * shape.threads, 1024);
    shape.rows = pick_rows(shape.threads, turn);
    shape.weight = odd ? WeightLoad::kLate : WeightLoad::kEarly;
  }
  tuning.many = {complete_schedule(spec, kTarget, shape), 8};
}

Tuning forced_plan(const NormSpec& spec, int turn, int kind) {
  const int leaves = leaves_of(spec);
  const int fewest = leaf_elements(spec) == 4 && leaves > 1 ? 2 : 1;
  std::vector<int> counts;
  if (kind == 0) counts = thread_counts(leaves, fewest, 32);
  if (kind == 1) counts = odd_thread_counts(leaves);
  if (kind == 2 && turn % 2 == 0) counts = thread_counts(leaves, 256, 1024);
  const bool cluster = kind == 2 && turn % 2 == 1;
  if (cluster) counts = thread_counts(leaves, 32, 256);  // each of its blocks
  if (counts.empty()) counts = thread_counts(leaves, fewest, 1024);
  const int threads = counts[static_cast<size_t>(turn) * 5 % counts.size()];
  BlockShape shape{threads, pick_rows(threads, turn + kind),
                   static_cast<Trigger>(turn / 2 % kTriggers)};
  if (cluster) {
    shape.cluster = 2 << turn / 2 % 3;
    shape.rows = 1;
  }
  Tuning tuning = complete_tuning(spec, kTarget, shape);
  force_homes(spec, turn + kind, tuning);
  tuning.few = tuning.many = {};
  force_few(spec, turn + kind, tuning);
  force_many(spec, turn + kind, tuning);
  if (turn % 4 == 1) tuning.load_chunk = 1;
  if (turn % 4 == 2) tuning.load_chunk = 3;
  return tuning;
}

}  // namespace

std::vector<KernelPlan> kernel_set() {
  // First, so that every share has it: which leaves a cluster's blocks join shows in the last bits
  // of the sum alone, which only wide inputs and outputs bring to light. And few kernels ask for
  // the weight ahead.
  const NormSpec wide = canonical(*parse_spec("hidden=4096,x=f32,root=exact"), kTarget);
  const BlockShape eight_blocks{64, 1, Trigger::kEnd, 8};
  const BlockShape ahead{128, 1, Trigger::kEnd, 1, WeightLoad::kAhead, 1};
  std::vector<KernelPlan> kernels = {
      {0, wide, complete_tuning(wide, kTarget, eight_blocks, ahead), true}};
  int spec_index = 1;
  for (const NormSpec& spec : covering_specs(kTarget)) {
    std::vector<Tuning> tunings = {launch_plan(spec, kTarget)};
    for (int kind = 0; kind < kForcedPlans; ++kind) {
      const Tuning tuning = forced_plan(spec, spec_index + 2 * kind, kind);
      if (std::find(tunings.begin(), tunings.end(), tuning) == tunings.end()) {
        tunings.push_back(tuning);
      }
    }
    const size_t turn = 1 + static_cast<size_t>(spec_index) % kForcedPlans;
    for (size_t i = 0; i < tunings.size(); ++i) {
      kernels.push_back({spec_index, spec, tunings[i], i == 0 || i == turn});
    }
    ++spec_index;
  }
  return kernels;
}

}  // namespace rmsjit::emulate
