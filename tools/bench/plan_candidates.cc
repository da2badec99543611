// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/plan_candidates.h"

#include "runtime/launch_plan.h"

namespace rmsjit::bench {
namespace {

// Every block shape that the fixed sum allows and that could pay: at most 16 leaves a thread.
std::vector<int> thread_counts(int leaves) {
  std::vector<int> threads;
  for (int t = 1; t <= 1024; t *= 2) {
    if ((t >= 4 || t >= leaves) && (leaves <= 16 * t || t == 1024)) threads.push_back(t);
    if (t >= leaves && t >= 32) break;
  }
  const int exact = (leaves + 31) / 32 * 32;
  if (exact <= 1024 && (exact & (exact - 1)) != 0) threads.push_back(exact);
  return threads;
}

constexpr int kFewestLeavesOfACluster = 2048;

}  // namespace

std::vector<PlanCandidate> plan_candidates(const NormSpec& spec, const Target& target) {
  std::vector<Trigger> triggers = {Trigger::kEnd};
  if (spec.pdl == Pdl::kOn) triggers = {Trigger::kWait, Trigger::kLoads, Trigger::kEnd};
  std::vector<BlockShape> shapes;
  const int leaves = leaves_of(spec);
  for (int t : thread_counts(leaves)) {
    for (int rows : {1, 2, 4, 8, 16, 32}) {
      if (t * rows > 512 && rows > 1) continue;
      if (t < 32 && t * rows < 128) continue;
      shapes.push_back({t, rows});
    }
  }
  // Clusters: a row of 2 to 16 leaves a thread.
  if (leaves >= kFewestLeavesOfACluster && target.sm >= 90) {
    for (int cluster : {2, 4, 8}) {
      for (int t = 128; t <= 1024; t *= 2) {
        const int row = t * cluster;
        if (leaves <= 16 * row && leaves >= 2 * row)
          shapes.push_back({t, 1, Trigger::kEnd, cluster});
      }
    }
  }
  const auto plan_of = [&](BlockShape shape, Trigger trigger, WeightLoad weight) {
    shape.trigger = trigger;
    shape.weight = weight;
    Tuning tuning = complete_tuning(spec, target, shape);
    // It would be what every candidate launches at every row count.
    if (tuning.second.takes == Tuning::Takes::kAll) tuning.second = {};
    return tuning;
  };
  std::vector<PlanCandidate> out;
  for (const BlockShape& shape : shapes) {
    for (Trigger trigger : triggers) {
      const Tuning early = plan_of(shape, trigger, WeightLoad::kEarly);
      out.push_back({early, false});
      if (early.weight_early && early.register_slots != 1) {
        out.push_back({plan_of(shape, trigger, WeightLoad::kLate), true});
      }
    }
  }
  return out;
}

}  // namespace rmsjit::bench
