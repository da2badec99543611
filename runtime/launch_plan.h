// SPDX-License-Identifier: Apache-2.0
// launch_plan: the one place that chooses a kernel's shape. Pure: spec and target in, Tuning out;
// rows are not asked, because one key has one plan: which of its schedules a launch takes is
// decided at launch.
#ifndef RMSJIT_LAUNCH_PLAN_H_
#define RMSJIT_LAUNCH_PLAN_H_

#include <optional>

#include "rmsjit/spec.h"
#include "rmsjit/target.h"
#include "templates/render_spec.h"

namespace rmsjit {

// Requires a canonical spec.
Tuning launch_plan(const NormSpec& spec, const Target& target);

// Before the sum, where registers allow it, or after it; kAhead, for few rows: early, and asked for
// at the start, into L2 (without PDL, sm_90 and newer).
enum class WeightLoad { kEarly, kLate, kAhead };

// What of a schedule is measured: the block, the blocks of a row where one is not enough, and for
// which launches.
struct BlockShape {
  int threads = 0;  // of a row, in one block
  int rows = 1;     // at most
  Trigger trigger = Trigger::kEnd;
  int cluster = 1;
  WeightLoad weight = WeightLoad::kEarly;
  int bound = 0, end = 0;  // Tuning::Extra's; 0 in a first schedule
};

// The rest of a schedule: what is kept in registers and how many loads are in flight, from the
// registers that such a block leaves a thread.
Schedule complete_schedule(const NormSpec& spec, const Target& target, const BlockShape& shape);

// That of several blocks a row which keep all of their part of it in registers, with its loads in
// flight together: best alone. None if they have too few.
std::optional<Schedule> schedule_in_registers(const NormSpec& spec, const BlockShape& shape);

// Longer rows have sixteen blocks for every launch, where the device has room for them.
inline constexpr int kMostLeavesOfEightBlocks = 16384;

// The plan of such a block, with its extra schedules: those of the longest rows, and else those of
// `few` and `many` that have threads. launch_plan and `tune` use it.
Tuning complete_tuning(const NormSpec& spec, const Target& target, const BlockShape& shape,
                       const BlockShape& few = {}, const BlockShape& many = {});

}  // namespace rmsjit

#endif  // RMSJIT_LAUNCH_PLAN_H_
