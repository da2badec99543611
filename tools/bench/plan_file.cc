// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <sstream>

#include "tools/bench/cuda_session.h"
#include "tools/bench/plan_choice.h"

namespace rmsjit::bench {

std::string plan_text(const BlockShape& shape) {
  constexpr const char* kTriggers[] = {"kWait", "kIssue", "kLoads", "kEnd"};
  static_assert(static_cast<int>(Trigger::kWait) == 0 && static_cast<int>(Trigger::kIssue) == 1 &&
                static_cast<int>(Trigger::kLoads) == 2 && static_cast<int>(Trigger::kEnd) == 3);
  std::string text = fmt::format("{{{}, {}, {}", shape.threads, shape.rows,
                                 kTriggers[static_cast<int>(shape.trigger)]);
  constexpr const char* kWeights[] = {"kEarly", "kLate", "kAhead"};
  static_assert(static_cast<int>(WeightLoad::kEarly) == 0 &&
                static_cast<int>(WeightLoad::kLate) == 1 &&
                static_cast<int>(WeightLoad::kAhead) == 2);
  const bool early = shape.weight == WeightLoad::kEarly;
  if (shape.cluster > 1 || !early || shape.bound > 0) text += fmt::format(", {}", shape.cluster);
  if (!early || shape.bound > 0) {
    text += fmt::format(", {}", kWeights[static_cast<int>(shape.weight)]);
  }
  if (shape.bound > 0) text += fmt::format(", {}", shape.bound);
  if (shape.end > 0) text += fmt::format(", {}", shape.end);
  return text + '}';
}

PlanFile::PlanFile(const std::string& path) : path_(path) {
  std::ifstream in(path);
  if (!in) throw CudaError("cannot read " + path);
  const std::regex row(R"(\{(\d+|1 << \d+), (\{.*\})\},)"), plan(R"(\{[^{}]*\})");
  for (std::string line; std::getline(in, line);) {
    std::smatch found;
    if (line.rfind("//", 0) == 0 && rows_.empty()) {
      head_ += line + '\n';
      continue;
    }
    if (!std::regex_match(line, found, row)) throw CudaError(path + ": not a plan row: " + line);
    const std::string most = found[1], plans = found[2];
    const size_t shift = most.find("<< ");
    rows_.push_back({most,
                     shift == std::string::npos ? std::stoll(most)
                                                : int64_t{1} << std::stoi(most.substr(shift + 3)),
                     {std::sregex_token_iterator(plans.begin(), plans.end(), plan), {}}});
  }
}

size_t PlanFile::row_of(int64_t leaves) const {
  size_t i = 0;
  while (i < rows_.size() && rows_[i].leaves < leaves) ++i;
  if (i == rows_.size()) throw CudaError(fmt::format("{}: no row for {} leaves", path_, leaves));
  return i;
}

const std::string& PlanFile::plan(int64_t leaves, size_t column) const {
  return rows_[row_of(leaves)].plans.at(column);
}

std::vector<int64_t> PlanFile::hidden_sizes() const {
  constexpr int64_t kMostHidden = 262144;  // the last row is for all beyond
  std::vector<int64_t> sizes;
  for (const Row& row : rows_) {
    if (8 * row.leaves <= kMostHidden) sizes.push_back(8 * row.leaves);
  }
  return sizes;
}

void PlanFile::set(int64_t leaves, size_t column, const std::string& plan) {
  const size_t i = row_of(leaves);
  if (rows_[i].leaves != leaves && rows_[i].plans.at(column) != plan) {
    Row fresh = rows_[i];
    fresh.most_leaves = std::to_string(fresh.leaves = leaves);
    rows_.insert(rows_.begin() + static_cast<std::ptrdiff_t>(i), fresh);
  }
  rows_[i].plans.at(column) = plan;
}

std::string PlanFile::text() const {
  std::string out = head_;
  for (const Row& row : rows_) {
    out += fmt::format("{{{}, {}}},\n", row.most_leaves, fmt::join(row.plans, ", "));
  }
  return out;
}

void PlanFile::save() const {
  std::ofstream out(path_);
  out << text();
  if (!out.flush()) throw CudaError("cannot write " + path_);
}

}  // namespace rmsjit::bench
