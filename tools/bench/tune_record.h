// SPDX-License-Identifier: Apache-2.0
// A record of `rmsnorm-bench tune`, read: each spec's plans with their times, a time for each
// point. A point is a row count in a state of the L2.
#ifndef RMSJIT_BENCH_TUNE_RECORD_H_
#define RMSJIT_BENCH_TUNE_RECORD_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/bench/plan_choice.h"

namespace rmsjit::bench {

struct TimedPlan {
  BlockShape shape;
  std::vector<double> us;  // one a point
  std::string text() const { return plan_text(shape); }
};

// Every plan of one spec.
struct TimedSpec {
  std::string text;
  int64_t leaves = 0;
  size_t column = 0;
  bool in_file = false;  // the file's columns are bf16 and else at the defaults
  int64_t multiprocessors = 0;
  std::vector<int64_t> rows;    // of each point
  std::vector<std::string> l2;  // "warm" or "cold"; empty in older records
  std::vector<TimedPlan> plans;

  std::string point(size_t i) const {
    return std::to_string(rows[i]) + (l2.empty() ? "" : " " + l2[i]);
  }
};

// A later cell of the same spec and plan replaces an earlier one. Throws CudaError for cells that
// are not of a record.
std::vector<TimedSpec> read_tune_cells(const nlohmann::ordered_json& cells);

}  // namespace rmsjit::bench

#endif  // RMSJIT_BENCH_TUNE_RECORD_H_
