// SPDX-License-Identifier: Apache-2.0
// Records of `rmsnorm-bench tune`, read: each spec's plans with their times, on each GPU that has
// timed it. A point is a row count in a state of the L2 and of the launch path.
#ifndef RMSJIT_BENCH_TUNE_RECORD_H_
#define RMSJIT_BENCH_TUNE_RECORD_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/bench/plan_choice.h"

namespace rmsjit::bench {

// Where a GPU has timed a spec.
struct TimedPoints {
  std::string gpu;
  int64_t multiprocessors = 0;
  std::vector<int64_t> rows;    // of each point
  std::vector<std::string> l2;  // "warm" or "cold"; empty in older records
  // "used" or "unused" before, by kernels; empty in older records
  std::vector<std::string> default_stream;

  size_t size() const { return rows.size(); }
  std::string text(size_t i) const;
  bool operator==(const TimedPoints&) const = default;
};

struct TimedPlan {
  BlockShape shape;
  bool few = false;  // for few rows alone; another may serve them too (plan_choice.h)
  // A GPU, a point: NaN where it was not timed.
  std::vector<std::vector<double>> us;
  std::string text() const { return plan_text(shape); }
};

// Every plan of one spec.
struct TimedSpec {
  std::string text;
  std::string column_text;  // of the spec in whose column its plan is
  int64_t leaves = 0;
  size_t column = 0;
  bool in_file = false;  // the file's columns are bf16 and else at the defaults
  std::vector<TimedPoints> gpus;
  std::vector<TimedPlan> plans;
};

// Another rounding or placement of a spec that has records, which has the same plan, counts as
// another GPU does. A later cell of the same GPU, spec and plan replaces an earlier one, and one of
// other points all of that GPU and spec. A plan for few rows counts at those points that the spec's
// others have. Throws CudaError for what is not a record.
std::vector<TimedSpec> read_tune_records(const std::vector<nlohmann::ordered_json>& records);

}  // namespace rmsjit::bench

#endif  // RMSJIT_BENCH_TUNE_RECORD_H_
