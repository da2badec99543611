// SPDX-License-Identifier: Apache-2.0
// From times of plans to the plan file: the rule by which `rmsnorm-bench tune` chooses, for a
// record just made or one that is committed. Pure but for reading and writing the files it is
// given.
//
// The rule. One spec has one plan for every row count, so a plan's cost is the geometric mean, over
// a record's points (a row count, L2-warm or L2-cold), of its time over the best time of any plan
// there; over GPUs it is the geometric mean of their costs, since the file serves them all, and so
// over the roundings and placements of a spec that a record has. Only plans that the last GPU (of
// the latest record that has the spec) has timed are eligible; another that has not timed one
// counts it as the best that it has: it hinders nothing new, and its next sweep decides. The
// cheapest plan is chosen, but the plan that the file already has stays unless another costs 1 %
// less: a new plan is a new key, and every bundle would have to be built again. Up to 32 leaves
// only plans with as many threads a row as leaves are eligible, because launch_plan scales such a
// row to smaller sizes.
//
// Extra schedules make a set, which costs what its parts cost where they are taken: another plan
// from one of the row counts on, up to a later one or to all (many), and one of a row a block, or
// of a cluster in registers, while two multiprocessors have 1, 2, 4, 8 or 16 of its blocks at most
// (few). Of a plan there are the best of each kind, alone and together. Each has to make the set
// 0.5 % cheaper and to be more than 3 % faster than the first somewhere, 2 % if the files have it.
// A set in the files stays under the same rule as a plan, without what of it is no longer so much
// faster: one that gains less than 0.5 % may be put there by hand, for row counts that matter more
// than their share of a record, and is not taken away again. Rows between two multiples of the
// multiprocessors (for few, of half of them) have one schedule, as at a launch. For many rows of at
// most 64 leaves it may not trigger at the wait or at the issue of the loads, or load the weight
// late: of many such rows the H100's records held L2-cold times only, and L2-warm those cost up to
// 40 % (tools/bench/results/NOTES.md).
#ifndef RMSJIT_BENCH_PLAN_CHOICE_H_
#define RMSJIT_BENCH_PLAN_CHOICE_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/launch_plan.h"

namespace rmsjit::bench {

// Two multiprocessors never have more blocks of a launch that takes a schedule for few rows.
inline constexpr int kMostBlocksOfFew = 16;

// A shape as the files write it: "{128, 1, kEnd}", "{256, 1, kEnd, 8}", "{64, 1, kEnd, 1, kLate}",
// with a bound "{64, 1, kEnd, 1, kEarly, 15}" and with an end "{64, 1, kEnd, 1, kEarly, 15, 40}".
// The one place that knows a shape's fields.
std::string plan_text(const BlockShape& shape);

// A plan file (runtime/plans/*.inc): comments, then {leaves at most, plan, plan, ...} a line. Plans
// are only text here.
class PlanFile {
 public:
  // Throws CudaError for a file that cannot be read or whose lines are not of this form.
  explicit PlanFile(const std::string& path);
  // The plan that a size has: that of the next larger row.
  const std::string& plan(int64_t leaves, size_t column) const;
  // The sizes that have rows of their own, in elements of 16 bits.
  std::vector<int64_t> hidden_sizes() const;
  // Gives a size a row of its own, when it has none, and this plan in it.
  void set(int64_t leaves, size_t column, const std::string& plan);
  std::string text() const;
  void save() const;  // throws CudaError

 private:
  struct Row {
    std::string most_leaves;  // as it was written
    int64_t leaves;
    std::vector<std::string> plans;
  };
  size_t row_of(int64_t leaves) const;

  std::string path_, head_;
  std::vector<Row> rows_;
};

// Where the schedules of a set are written. Null: none of that kind is chosen.
struct PlanFiles {
  PlanFile& first;
  PlanFile* few;
  PlanFile* many;
};

// Chooses a set for every spec of the records (tune_record.h), puts it into the files, and prints
// what that costs: a line a spec, and one for each point at which another plan is more than 3 %
// faster. Returns how many plans of the files changed. Throws CudaError for what is not a record.
int choose_plans(const std::vector<nlohmann::ordered_json>& records, const PlanFiles& files);

}  // namespace rmsjit::bench

#endif  // RMSJIT_BENCH_PLAN_CHOICE_H_
