// SPDX-License-Identifier: Apache-2.0
// launch_plan: the one place that chooses a kernel's shape. Pure: spec and target in, Tuning out;
// rows are not asked, because one key has one plan: which of its two schedules a launch takes is
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

enum class WeightLoad { kEarly, kLate };  // before the sum, where registers allow it, or after it

// What of a schedule is measured: the block, the blocks of a row where one is not enough, and for
// which launches.
struct BlockShape {
  int threads = 0;  // of a row, in one block
  int rows = 1;     // at most
  Trigger trigger = Trigger::kEnd;
  int cluster = 1;
  WeightLoad weight = WeightLoad::kEarly;
  int from = 0;  // rows a multiprocessor; more than 0 in a second schedule for many rows alone
};

// The rest of a schedule: what is kept in registers and how many loads are in flight, from the
// registers that such a block leaves a thread.
Schedule complete_schedule(const NormSpec& spec, const Target& target, const BlockShape& shape);

// That of a cluster whose blocks keep all of their part of a row in registers, with its loads in
// flight together, which is best alone. None if they have too few.
std::optional<Schedule> schedule_in_registers(const NormSpec& spec, const BlockShape& shape);

// Longer rows have sixteen blocks for every launch, where the device has room for them.
inline constexpr int kMostLeavesOfEightBlocks = 16384;

// The plan of such a block, with its second schedule: that of the longest rows, and else `second`,
// if that has threads: a cluster for few rows, a block for many. launch_plan and `tune` use it.
Tuning complete_tuning(const NormSpec& spec, const Target& target, const BlockShape& shape,
                       const BlockShape& second = {});

}  // namespace rmsjit

#endif  // RMSJIT_LAUNCH_PLAN_H_
