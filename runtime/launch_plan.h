// SPDX-License-Identifier: Apache-2.0
// launch_plan: the one place that chooses a kernel's shape. Pure: spec and target in, Tuning out;
// rows are not asked, because one key has one plan.
#ifndef RMSJIT_LAUNCH_PLAN_H_
#define RMSJIT_LAUNCH_PLAN_H_

#include "rmsjit/spec.h"
#include "rmsjit/target.h"
#include "templates/render_spec.h"

namespace rmsjit {

// Requires a canonical spec.
Tuning launch_plan(const NormSpec& spec, const Target& target);

// What of a plan is measured: the block, and the blocks of a row where one is not enough.
struct BlockShape {
  int threads;   // of a row, in one block
  int rows = 1;  // at most
  Trigger trigger = Trigger::kEnd;
  int cluster = 1;
};

// The rest of the plan: what is kept in registers and how many loads are in flight, from the
// registers that such a block leaves a thread. launch_plan and `tune` use it.
Tuning complete_tuning(const NormSpec& spec, const Target& target, const BlockShape& shape);

}  // namespace rmsjit

#endif  // RMSJIT_LAUNCH_PLAN_H_
