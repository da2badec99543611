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

constexpr int kFewestLeavesOfACluster = 512, kFewestLeavesForFew = 256;
constexpr int kBlocks[] = {2, 4, 8};

// A row of 1 to 8 leaves a thread.
std::vector<BlockShape> shapes_for_few(int leaves) {
  std::vector<BlockShape> shapes;
  if (leaves < kFewestLeavesForFew || leaves > kMostLeavesOfEightBlocks) return shapes;
  for (int cluster : kBlocks) {
    for (int t = 64; t <= 512; t *= 2) {
      if (t * cluster <= leaves && leaves <= 8 * t * cluster) {
        shapes.push_back({t, 1, Trigger::kEnd, cluster});
      }
    }
  }
  return shapes;
}

}  // namespace

std::vector<PlanCandidate> plan_candidates(const NormSpec& spec, const Target& target) {
  std::vector<Trigger> triggers = {Trigger::kEnd};
  if (spec.pdl == Pdl::kOn)
    triggers = {Trigger::kWait, Trigger::kIssue, Trigger::kLoads, Trigger::kEnd};
  std::vector<BlockShape> shapes;
  const int leaves = leaves_of(spec);
  for (int t : thread_counts(leaves)) {
    for (int rows : {1, 2, 4, 8, 16, 32}) {
      if (t * rows > 512 && rows > 1) continue;
      if (t < 32 && t * rows < 128) continue;
      shapes.push_back({t, rows});
    }
  }
  // Clusters: a row of 2 to 16 leaves a thread, short ones of at most 4.
  if (leaves >= kFewestLeavesOfACluster && target.sm >= 90) {
    for (int cluster : kBlocks) {
      for (int t = 64; t <= 1024; t *= 2) {
        const int row = t * cluster;
        const int most = leaves > 2048 ? 16 : 4;
        if (leaves > most * row || leaves < 2 * row || (t == 64 && most == 16)) continue;
        shapes.push_back({t, 1, Trigger::kEnd, cluster});
      }
    }
  }
  const auto plan_of = [&](BlockShape shape, Trigger trigger, WeightLoad weight) {
    shape.trigger = trigger;
    shape.weight = weight;
    Tuning tuning = complete_tuning(spec, target, shape);
    // Those of the longest rows would be what every candidate launches.
    tuning.few = tuning.many = {};
    return tuning;
  };
  std::vector<PlanCandidate> out;
  for (const BlockShape& shape : shapes) {
    for (Trigger trigger : triggers) {
      const Tuning early = plan_of(shape, trigger, WeightLoad::kEarly);
      out.push_back({early});
      if (early.weight_early && early.register_slots != 1) {
        out.push_back({plan_of(shape, trigger, WeightLoad::kLate), true});
      }
    }
  }
  if (target.sm < 90) return out;
  // For few rows fewer threads, with several leaves each; 64 were mostly 5 to 10 % slower.
  for (const BlockShape& shape : shapes) {
    if (shape.threads < 128 || shape.rows != 1 || shape.cluster != 1) continue;
    const Tuning ahead = plan_of(shape, Trigger::kEnd, WeightLoad::kAhead);
    if (ahead.weight_ahead && ahead.register_slots > 1) {
      out.push_back({.tuning = ahead, .few = true});
    }
  }
  for (BlockShape shape : shapes_for_few(leaves)) {
    for (Trigger trigger : triggers) {
      shape.trigger = trigger;
      if (const auto few = schedule_in_registers(spec, shape)) {
        out.push_back({.tuning = {*few, {}, {}}, .few = true});
      }
    }
  }
  return out;
}

}  // namespace rmsjit::bench
