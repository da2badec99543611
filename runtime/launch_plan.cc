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

// Registers a thread needs for each leaf it holds: h, the weight, and the loads in flight.
int words_per_leaf(const NormSpec& spec) {
  const auto words = [](DType dtype) { return static_cast<int>(2 * dtype_bytes(dtype)); };
  int held = words(spec.x_dtype());
  if (spec.has_residual()) {
    held = spec.add_round == AddRound::kUnrounded ? 8 : words(spec.residual_dtype_resolved());
  }
  return held;
}

}  // namespace

Tuning launch_plan(const NormSpec& spec, const Target&) {
  const int64_t leaves = (spec.hidden + 7) / 8;
  Tuning tuning;
  if (leaves <= 32) {
    tuning.threads_per_row = next_power_of_two(leaves);
    tuning.max_rows_per_block = 256 / std::max(tuning.threads_per_row, 8);
    tuning.max_rows_per_block = std::max(tuning.max_rows_per_block, tuning.min_rows_per_block());
  } else if (leaves <= 128) {
    tuning.threads_per_row = next_power_of_two(leaves);
    tuning.max_rows_per_block = 1;
  } else {
    tuning.threads_per_row = std::clamp(next_power_of_two(leaves) / 2, 128, 1024);
  }
  const int slots =
      static_cast<int>((leaves + tuning.threads_per_row - 1) / tuning.threads_per_row);
  // A thread of the widest block has 64 registers, about 24 of them for addresses and the sum.
  const int budget = 65536 / std::max(tuning.threads_per_row, 256) - 24;
  const int held = slots * words_per_leaf(spec);
  const int weight = spec.has_weight() ? 2 * static_cast<int>(dtype_bytes(spec.weight_dtype())) : 0;
  const int input =
      2 * static_cast<int>(dtype_bytes(spec.x_dtype())) +
      (spec.has_residual() ? 2 * static_cast<int>(dtype_bytes(spec.residual_dtype_resolved())) : 0);
  tuning.load_chunk = slots;
  while (tuning.load_chunk > 1 && held + tuning.load_chunk * input > budget) tuning.load_chunk /= 2;
  tuning.weight_early = held + slots * weight + tuning.load_chunk * input <= budget;
  if (held + input + 8 > budget) {
    tuning.staging = Tuning::Staging::kReread;
    tuning.weight_early = false;
  }
  return tuning;
}

int rows_per_block(const Tuning& tuning, int64_t rows, int multiprocessors) {
  const int least = tuning.min_rows_per_block();
  int count = tuning.max_rows_per_block;
  while (count / 2 >= least && rows < static_cast<int64_t>(count) * multiprocessors) count /= 2;
  return count;
}

}  // namespace rmsjit
