// SPDX-License-Identifier: Apache-2.0
// launch_plan: the one place that chooses a kernel's shape. Pure: spec and target in, Tuning out;
// rows are not asked, because one key has one plan.
#ifndef RMSJIT_LAUNCH_PLAN_H_
#define RMSJIT_LAUNCH_PLAN_H_

#include <cstdint>

#include "rmsjit/spec.h"
#include "rmsjit/target.h"
#include "templates/render_spec.h"

namespace rmsjit {

// Requires a canonical spec.
Tuning launch_plan(const NormSpec& spec, const Target& target);

// The rest of a plan whose block is given: what is kept in registers and how many loads are in
// flight, from the registers that such a block leaves a thread. launch_plan and `tune` use it.
Tuning complete_tuning(const NormSpec& spec, const Target& target, int threads_per_row,
                       int max_rows_per_block, Trigger trigger);

// blockDim.y for a launch: full blocks when there are rows for every multiprocessor, else fewer rows
// a block, down to four warps, so that a small batch spreads over the GPU. Never changes bits.
int rows_per_block(const Tuning& tuning, int64_t rows, int multiprocessors);

}  // namespace rmsjit

#endif  // RMSJIT_LAUNCH_PLAN_H_
