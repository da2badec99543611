// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/tune_record.h"

#include <algorithm>
#include <cstring>

#include "rmsjit/spec_text.h"
#include "tools/bench/cuda_session.h"

namespace rmsjit::bench {
namespace {

// "threads=128,rows=1,...,trigger=end,..." of a record; what the other fields say follows from
// these, but for a weight that is late by choice.
BlockShape read_shape(const nlohmann::ordered_json& cell) {
  const std::string text = cell.at("tuning");
  const auto field = [&](const char* name) -> std::string {
    const size_t at = ("," + text).find(std::string(",") + name + "=");
    if (at == std::string::npos) throw CudaError("a tuning without " + (name + (": " + text)));
    const size_t begin = at + std::strlen(name) + 1;
    return text.substr(begin, text.find(',', begin) - begin);
  };
  BlockShape shape;
  shape.threads = std::stoi(field("threads"));
  shape.rows = std::stoi(field("rows"));
  // Records from before there were clusters do not name it.
  if (text.find("cluster=") != std::string::npos) shape.cluster = std::stoi(field("cluster"));
  const std::string trigger = field("trigger");
  shape.trigger = trigger == "wait"    ? Trigger::kWait
                  : trigger == "loads" ? Trigger::kLoads
                                       : Trigger::kEnd;
  if (cell.value("late", false)) shape.weight = WeightLoad::kLate;
  return shape;
}

TimedSpec named(const std::string& text) {
  const Result<NormSpec> spec = parse_spec(text);
  if (!spec.ok()) throw CudaError(spec.message());
  const bool pdl = spec->pdl == Pdl::kOn;
  NormSpec column;
  column.hidden = spec->hidden;
  column.residual = spec->residual;
  column.pdl = spec->pdl;
  TimedSpec out;
  out.text = text;
  out.leaves = leaves_of(*spec);
  out.column = (spec->has_residual() ? 1u : 0u) + (pdl ? 2u : 0u);
  out.in_file = spec_text(canonical(*spec, Target{90})) == spec_text(canonical(column, Target{90}));
  return out;
}

}  // namespace

std::vector<TimedSpec> read_tune_cells(const nlohmann::ordered_json& cells) {
  std::vector<TimedSpec> out;
  for (const auto& cell : cells) {
    const std::string text = cell.at("spec");
    auto spec = std::find_if(out.begin(), out.end(), [&](const auto& s) { return s.text == text; });
    if (spec == out.end()) spec = out.insert(out.end(), named(text));
    const auto rows = cell.at("rows").get<std::vector<int64_t>>();
    const auto l2 = cell.value("l2", std::vector<std::string>());
    if (cell.at("us").size() != rows.size() || (!l2.empty() && l2.size() != rows.size())) {
      throw CudaError(text + ": rows, l2 and us of a cell are not of one length");
    }
    if (rows != spec->rows || l2 != spec->l2) spec->plans.clear();  // a later record, other points
    spec->rows = rows;
    spec->l2 = l2;
    spec->multiprocessors = cell.value("multiprocessors", 132);  // the H100's, of older records
    TimedPlan plan{read_shape(cell), cell.at("us")};
    std::erase_if(spec->plans, [&](const TimedPlan& p) { return p.text() == plan.text(); });
    spec->plans.push_back(std::move(plan));
  }
  return out;
}

}  // namespace rmsjit::bench
