// SPDX-License-Identifier: Apache-2.0
// From times of plans to the plan file: the rule by which `rmsnorm-bench tune` chooses, for a
// record just made or one that is committed. Pure but for reading and writing the files it is
// given.
//
// The rule. One spec has one plan for every row count, so a plan's cost is the geometric mean, over
// the row counts, of its time over the best time of any plan there. The cheapest plan is chosen,
// but the plan that the file already has stays unless another costs 1 % less: a new plan is a new
// key, and every bundle would have to be built again. Up to 32 leaves only plans with as many
// threads a row as leaves are eligible, because launch_plan scales such a row to smaller sizes.
#ifndef RMSJIT_BENCH_PLAN_CHOICE_H_
#define RMSJIT_BENCH_PLAN_CHOICE_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "templates/render_spec.h"

namespace rmsjit::bench {

// A plan as the file writes it: "{128, 1, kEnd}", "{256, 1, kEnd, 8}". The one place that knows a plan's fields.
std::string plan_text(const Tuning& tuning);

// A plan file (runtime/plans/*.inc): comments, then {leaves at most, plan, plan, ...} a line. Plans
// are only text here.
class PlanFile {
 public:
  // Throws CudaError for a file that cannot be read or whose lines are not of this form.
  explicit PlanFile(const std::string& path);
  // The plan that a size has: that of the next larger row.
  const std::string& plan(int64_t leaves, size_t column) const;
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

// Chooses a plan for every spec in `cells` (of a tune record; a later cell of the same spec and
// plan replaces an earlier one), puts it into `file` and prints what one plan costs: a line a spec,
// and one for each row count at which another plan is more than 3 % faster. Returns how many plans
// of the file changed. Throws CudaError for cells that are not of a record.
int choose_plans(const nlohmann::ordered_json& cells, PlanFile& file);

}  // namespace rmsjit::bench

#endif  // RMSJIT_BENCH_PLAN_CHOICE_H_
