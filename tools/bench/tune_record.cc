// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/tune_record.h"

#include <algorithm>
#include <cstring>
#include <limits>

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
  const auto* trigger =
      std::find(std::begin(kTriggerNames), std::end(kTriggerNames), field("trigger"));
  if (trigger == std::end(kTriggerNames)) throw CudaError("no trigger of that name: " + text);
  shape.trigger = static_cast<Trigger>(trigger - kTriggerNames);
  if (cell.value("late", false)) shape.weight = WeightLoad::kLate;
  if (text.find("weight=ahead") != std::string::npos) shape.weight = WeightLoad::kAhead;
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
  NormSpec as_usual = *spec;  // in rounding and placement
  as_usual.y_placement = column.y_placement;
  as_usual.residual_placement = column.residual_placement;
  as_usual.add_round = column.add_round;
  as_usual.mul_round = column.mul_round;
  as_usual.root = column.root;
  out.column_text = spec_text(canonical(as_usual, Target{90}));
  out.leaves = leaves_of(*spec);
  out.column = (spec->has_residual() ? 1u : 0u) + (pdl ? 2u : 0u);
  out.in_file = spec_text(canonical(*spec, Target{90})) == spec_text(canonical(column, Target{90}));
  return out;
}

constexpr double kUntimed = std::numeric_limits<double>::quiet_NaN();

TimedPoints read_points(const nlohmann::ordered_json& cell, const std::string& gpu) {
  TimedPoints points;
  points.gpu = gpu;
  points.multiprocessors = cell.value("multiprocessors", 132);  // the H100's, of older records
  points.rows = cell.at("rows").get<std::vector<int64_t>>();
  points.l2 = cell.value("l2", std::vector<std::string>());
  points.default_stream = cell.value("default_stream", std::vector<std::string>());
  const auto fits = [&](const auto& list) { return list.empty() || list.size() == points.size(); };
  if (cell.at("us").size() != points.size() || !fits(points.l2) || !fits(points.default_stream)) {
    throw CudaError(cell.at("spec").get<std::string>() +
                    ": rows, l2, default_stream and us of a cell are not of one length");
  }
  return points;
}

// Makes the GPU the last of spec.gpus.
void put_last(TimedSpec& spec, const std::string& gpu) {
  const auto is = [&](const TimedPoints& points) { return points.gpu == gpu; };
  const auto g = std::find_if(spec.gpus.begin(), spec.gpus.end(), is) - spec.gpus.begin();
  const auto to_the_end = [g](auto& of_gpus) {
    std::rotate(of_gpus.begin() + g, of_gpus.begin() + g + 1, of_gpus.end());
  };
  if (static_cast<size_t>(g) == spec.gpus.size()) {
    spec.gpus.push_back({});
    spec.gpus.back().gpu = gpu;
    for (TimedPlan& plan : spec.plans) plan.us.emplace_back();
    return;
  }
  to_the_end(spec.gpus);
  for (TimedPlan& plan : spec.plans) to_the_end(plan.us);
}

void put(TimedSpec& spec, const nlohmann::ordered_json& cell, const std::string& gpu) {
  const TimedPoints points = read_points(cell, gpu);
  const auto us = cell.at("us").get<std::vector<double>>();
  put_last(spec, gpu);
  const size_t g = spec.gpus.size() - 1;
  TimedPlan plan{read_shape(cell), cell.value("few", false), {}};
  if (!plan.few && points != spec.gpus[g]) {
    spec.gpus[g] = points;
    for (TimedPlan& other : spec.plans) other.us[g].assign(points.size(), kUntimed);
  }
  auto known = std::find_if(spec.plans.begin(), spec.plans.end(), [&](const TimedPlan& p) {
    return p.few == plan.few && p.text() == plan.text();
  });
  if (known == spec.plans.end()) {
    for (const TimedPoints& of : spec.gpus) plan.us.emplace_back(of.size(), kUntimed);
    known = spec.plans.insert(spec.plans.end(), std::move(plan));
  }
  if (!known->few) {
    known->us[g] = us;
    return;
  }
  known->us[g].assign(spec.gpus[g].size(), kUntimed);
  for (size_t i = 0; i < spec.gpus[g].size(); ++i) {
    for (size_t k = 0; k < points.size(); ++k) {
      if (spec.gpus[g].text(i) == points.text(k)) known->us[g][i] = us.at(k);
    }
  }
}

}  // namespace

std::string TimedPoints::text(size_t i) const {
  return std::to_string(rows[i]) + (l2.empty() ? "" : " " + l2[i]) +
         (default_stream.empty() || default_stream[i] == "unused" ? "" : " used");
}

std::vector<TimedSpec> read_tune_records(const std::vector<nlohmann::ordered_json>& records) {
  std::vector<TimedSpec> out;
  const auto find = [&](const std::string& text) {
    return std::find_if(out.begin(), out.end(), [&](const auto& s) { return s.text == text; });
  };
  const auto add = [&](TimedSpec spec, const nlohmann::ordered_json& cell, const std::string& gpu) {
    const auto column = find(spec.column_text);
    if (!spec.in_file && column != out.end() && column->in_file) {
      const std::string of_the_file = column->gpus.back().gpu;
      put(*column, cell, gpu + " as " + spec.text);
      put_last(*column, of_the_file);
      return;
    }
    auto known = find(spec.text);
    if (known == out.end()) known = out.insert(out.end(), std::move(spec));
    put(*known, cell, gpu);
  };
  // The file's own specs first, so that the others find theirs.
  for (const bool in_file : {true, false}) {
    for (const auto& record : records) {
      // Those for few rows after the others, whose points they are put to.
      for (const bool few : {false, true}) {
        for (const auto& cell : record.at("cells")) {
          TimedSpec spec = named(cell.at("spec"));
          if (cell.value("few", false) != few || spec.in_file != in_file) continue;
          add(std::move(spec), cell, record.value("gpu", ""));
        }
      }
    }
  }
  return out;
}

}  // namespace rmsjit::bench
