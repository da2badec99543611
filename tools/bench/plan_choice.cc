// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/plan_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "rmsjit/spec_text.h"
#include "tools/bench/cuda_session.h"

namespace rmsjit::bench {
namespace {

constexpr double kWorthANewKey = 1.01;
constexpr double kWorthASecondPlan = 1.03;

struct TimedPlan {
  std::string plan;
  int64_t threads;
  std::vector<double> us;  // one a row count
};

// Every plan of one spec.
struct TimedSpec {
  std::string text;
  int64_t leaves = 0;
  size_t column = 0;
  bool in_file = false;  // the file's columns are bf16 and else at the defaults
  std::vector<int64_t> rows;
  std::vector<TimedPlan> plans;
};

// "threads=128,rows=1,...,trigger=end,..." of a record as the file writes it; what the other fields
// say follows from these.
Tuning read_tuning(const std::string& text) {
  const auto field = [&](const char* name) -> std::string {
    const size_t at = ("," + text).find(std::string(",") + name + "=");
    if (at == std::string::npos) throw CudaError("a tuning without " + (name + (": " + text)));
    const size_t begin = at + std::strlen(name) + 1;
    return text.substr(begin, text.find(',', begin) - begin);
  };
  Tuning tuning;
  tuning.threads_per_row = std::stoi(field("threads"));
  tuning.max_rows_per_block = std::stoi(field("rows"));
  // Records from before there were clusters do not name it.
  if (text.find("cluster=") != std::string::npos) tuning.cluster = std::stoi(field("cluster"));
  const std::string trigger = field("trigger");
  tuning.trigger = trigger == "wait"    ? Trigger::kWait
                   : trigger == "loads" ? Trigger::kLoads
                                        : Trigger::kEnd;
  return tuning;
}

TimedSpec named(const std::string& text) {
  const Result<NormSpec> spec = parse_spec(text);
  if (!spec.ok()) throw CudaError(spec.message());
  const bool pdl = spec->pdl == Pdl::kOn;
  NormSpec column;
  column.hidden = spec->hidden;
  column.residual = spec->residual;
  column.pdl = spec->pdl;
  return {text,
          leaves_of(*spec),
          (spec->has_residual() ? 1u : 0u) + (pdl ? 2u : 0u),
          spec_text(canonical(*spec, Target{90})) == spec_text(canonical(column, Target{90})),
          {},
          {}};
}

std::vector<TimedSpec> read_cells(const nlohmann::ordered_json& cells) {
  std::vector<TimedSpec> out;
  for (const auto& cell : cells) {
    const std::string text = cell.at("spec");
    auto spec = std::find_if(out.begin(), out.end(), [&](const auto& s) { return s.text == text; });
    if (spec == out.end()) spec = out.insert(out.end(), named(text));
    const auto rows = cell.at("rows").get<std::vector<int64_t>>();
    if (rows != spec->rows) spec->plans.clear();  // a later record with other row counts
    spec->rows = rows;
    const Tuning tuning = read_tuning(cell.at("tuning"));
    const std::string plan = plan_text(tuning);
    std::erase_if(spec->plans, [&](const TimedPlan& p) { return p.plan == plan; });
    spec->plans.push_back({plan, tuning.threads_per_row, cell.at("us")});
  }
  return out;
}

class Choice {
 public:
  Choice(const TimedSpec& spec, const std::string& current)
      : spec_(spec), best_(spec.rows.size(), 1e30) {
    for (const TimedPlan& plan : spec.plans) {
      for (size_t i = 0; i < best_.size(); ++i) best_[i] = std::min(best_[i], plan.us.at(i));
    }
    const TimedPlan* kept = nullptr;
    for (const TimedPlan& plan : spec.plans) {
      if (!eligible(plan)) continue;
      if (chosen_ == nullptr || cost(plan) < cost(*chosen_)) chosen_ = &plan;
      if (plan.plan == current) kept = &plan;
    }
    if (kept != nullptr && cost(*kept) <= kWorthANewKey * cost(*chosen_)) chosen_ = kept;
  }

  // Null: no eligible plan was timed.
  const TimedPlan* chosen() const { return chosen_; }

  void print(const std::string& current) const {
    std::string line = fmt::format("{:<44} {:<18} {:+5.1f}%", spec_.text, chosen_->plan,
                                   100 * (cost(*chosen_) - 1));
    for (size_t i = 0; i < best_.size(); ++i) {
      line += fmt::format("  {}: {:.2f}/{:.2f}", spec_.rows[i], chosen_->us[i], best_[i]);
    }
    std::puts((line + (chosen_->plan == current ? "" : "  was " + current)).c_str());
    for (size_t i = 0; i < best_.size(); ++i) {
      if (chosen_->us[i] <= kWorthASecondPlan * best_[i]) continue;
      const auto faster = std::min_element(
          spec_.plans.begin(), spec_.plans.end(),
          [i](const TimedPlan& a, const TimedPlan& b) { return a.us[i] < b.us[i]; });
      std::puts(fmt::format("    {} rows: {} takes {:.1f} % less", spec_.rows[i], faster->plan,
                            100 * (1 - best_[i] / chosen_->us[i]))
                    .c_str());
    }
  }

  double cost() const { return cost(*chosen_); }
  double worst() const {
    double worst = 1;
    for (size_t i = 0; i < best_.size(); ++i) worst = std::max(worst, chosen_->us[i] / best_[i]);
    return worst;
  }

 private:
  bool eligible(const TimedPlan& plan) const {
    int64_t needed = 1;
    while (needed < spec_.leaves) needed *= 2;
    return spec_.leaves > 32 || plan.threads == needed;
  }
  double cost(const TimedPlan& plan) const {
    double sum = 0;
    for (size_t i = 0; i < best_.size(); ++i) sum += std::log(plan.us[i] / best_[i]);
    return std::exp(sum / static_cast<double>(best_.size()));
  }

  const TimedSpec& spec_;
  std::vector<double> best_;
  const TimedPlan* chosen_ = nullptr;
};

}  // namespace

int choose_plans(const nlohmann::ordered_json& cells, PlanFile& file) {
  std::puts("spec, plan, its cost over the row counts, then rows: its us / the best us");
  int changed = 0, count = 0;
  double log_cost = 0, worst = 1;
  for (const TimedSpec& spec : read_cells(cells)) {
    const std::string current = file.plan(spec.leaves, spec.column);
    const Choice choice(spec, current);
    if (choice.chosen() == nullptr) continue;
    choice.print(current);
    log_cost += std::log(choice.cost());
    worst = std::max(worst, choice.worst());
    ++count;
    if (!spec.in_file || choice.chosen()->plan == current) continue;
    file.set(spec.leaves, spec.column, choice.chosen()->plan);
    ++changed;
  }
  if (count == 0) throw CudaError("no plans were timed");
  std::puts(fmt::format("{} specs: one plan costs {:.2f} % (geometric mean), {:.1f} % in the worst "
                        "cell; {} plans changed",
                        count, 100 * (std::exp(log_cost / count) - 1), 100 * (worst - 1), changed)
                .c_str());
  return changed;
}

}  // namespace rmsjit::bench
