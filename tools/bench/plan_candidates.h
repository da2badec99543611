// SPDX-License-Identifier: Apache-2.0
// The plans of a spec that `rmsnorm-bench tune` times.
#ifndef RMSJIT_BENCH_PLAN_CANDIDATES_H_
#define RMSJIT_BENCH_PLAN_CANDIDATES_H_

#include <vector>

#include "rmsjit/spec.h"
#include "rmsjit/target.h"
#include "templates/render_spec.h"

namespace rmsjit::bench {

struct PlanCandidate {
  Tuning tuning;
  bool late = false;  // its weight, by choice
  bool few = false;   // for few rows alone: timed where it could be taken
};

// Every block that the fixed sum allows and that could pay: at most 16 leaves a thread; for few
// rows clusters in registers, and fused adds whose weight is brought into L2 ahead.
std::vector<PlanCandidate> plan_candidates(const NormSpec& spec, const Target& target);

}  // namespace rmsjit::bench

#endif  // RMSJIT_BENCH_PLAN_CANDIDATES_H_
