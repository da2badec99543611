// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/plan_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tools/bench/cuda_session.h"
#include "tools/bench/tune_record.h"

namespace rmsjit::bench {
namespace {

constexpr double kWorthANewKey = 1.01;
constexpr double kWorthASecondPlan = 1.03;    // of a cell
constexpr double kWorthASecondEntry = 1.005;  // of all
constexpr int64_t kFewestMany = 2;            // rows a multiprocessor
constexpr int64_t kMostLeavesOfAShortRow = 64;

// A plan, and perhaps another from a row count on.
struct Pair {
  const TimedPlan* first = nullptr;
  const TimedPlan* second = nullptr;
  int64_t from = 0;  // rows
  double cost = 1e30;

  double us(int64_t rows, size_t i) const {
    return (second != nullptr && rows >= from ? second : first)->us.at(i);
  }
  // As the file for many rows has it: so many rows a multiprocessor that `from` is the least row
  // count measured which is not below.
  std::string second_text(int64_t multiprocessors) const {
    if (second == nullptr) return "{}";
    BlockShape shape = second->shape;
    shape.from = static_cast<int>((from - 1) / multiprocessors);
    return plan_text(shape);
  }
};

class Choice {
 public:
  Choice(const TimedSpec& spec, const std::string& current, const std::string* current_second)
      : spec_(spec), best_(spec.rows.size(), 1e30) {
    for (const TimedPlan& plan : spec.plans) {
      for (size_t i = 0; i < best_.size(); ++i) best_[i] = std::min(best_[i], plan.us.at(i));
    }
    Pair kept, single;
    const auto look_at = [&](Pair pair) {
      pair.cost = cost(pair);
      if (pair.cost < chosen_.cost) chosen_ = pair;
      if (pair.second == nullptr && pair.cost < single.cost) single = pair;
      const bool same_second =
          current_second == nullptr || pair.second_text(spec.multiprocessors) == *current_second;
      if (pair.first->text() == current && same_second) kept = pair;
    };
    for (const TimedPlan& plan : spec.plans) {
      if (!eligible(plan)) continue;
      look_at({&plan});
      if (current_second == nullptr || plan.shape.cluster > 1) continue;
      for (const int64_t from : spec.rows) {
        if (from <= kFewestMany * spec.multiprocessors) continue;
        for (const TimedPlan& second : spec.plans) {
          const Pair pair{&plan, &second, from};
          if (may_be_second(second) && worth_a_schedule(pair)) look_at(pair);
        }
      }
    }
    const bool pays = single.cost > kWorthASecondEntry * chosen_.cost;
    if (!pays) chosen_ = single;
    const bool may_stay = pays || kept.second == nullptr;
    if (may_stay && kept.first != nullptr && kept.cost <= kWorthANewKey * chosen_.cost) {
      chosen_ = kept;
    }
  }

  // first is null: no eligible plan was timed.
  const Pair& chosen() const { return chosen_; }

  void print(bool changed) const {
    std::string plans = chosen_.first->text();
    if (chosen_.second != nullptr) plans += ' ' + chosen_.second_text(spec_.multiprocessors);
    std::string line =
        fmt::format("{:<44} {:<18} {:+5.1f}%", spec_.text, plans, 100 * (chosen_.cost - 1));
    for (size_t i = 0; i < best_.size(); ++i) {
      line += fmt::format("  {}: {:.2f}/{:.2f}", spec_.point(i), us(i), best_[i]);
    }
    std::puts((line + (changed ? "  changed" : "")).c_str());
    for (size_t i = 0; i < best_.size(); ++i) {
      if (us(i) <= kWorthASecondPlan * best_[i]) continue;
      const auto faster = std::min_element(
          spec_.plans.begin(), spec_.plans.end(),
          [i](const TimedPlan& a, const TimedPlan& b) { return a.us[i] < b.us[i]; });
      std::puts(fmt::format("    rows {}: {} takes {:.1f} % less", spec_.point(i), faster->text(),
                            100 * (1 - best_[i] / us(i)))
                    .c_str());
    }
  }

  double worst() const {
    double worst = 1;
    for (size_t i = 0; i < best_.size(); ++i) worst = std::max(worst, us(i) / best_[i]);
    return worst;
  }

 private:
  bool eligible(const TimedPlan& plan) const {
    int64_t needed = 1;
    while (needed < spec_.leaves) needed *= 2;
    return spec_.leaves > 32 || plan.shape.threads == needed;
  }
  bool may_be_second(const TimedPlan& plan) const {
    const bool late =
        plan.shape.trigger == Trigger::kWait || plan.shape.weight == WeightLoad::kLate;
    return plan.shape.cluster == 1 && (spec_.leaves > kMostLeavesOfAShortRow || !late);
  }
  double us(size_t i) const { return chosen_.us(spec_.rows[i], i); }
  bool worth_a_schedule(const Pair& pair) const {
    for (size_t i = 0; i < best_.size(); ++i) {
      if (spec_.rows[i] < pair.from) continue;
      if (pair.first->us[i] > kWorthASecondPlan * pair.second->us[i]) return true;
    }
    return false;
  }
  double cost(const Pair& pair) const {
    double sum = 0;
    for (size_t i = 0; i < best_.size(); ++i) sum += std::log(pair.us(spec_.rows[i], i) / best_[i]);
    return std::exp(sum / static_cast<double>(best_.size()));
  }

  const TimedSpec& spec_;
  std::vector<double> best_;
  Pair chosen_;
};

}  // namespace

int choose_plans(const nlohmann::ordered_json& cells, PlanFile& file, PlanFile* many) {
  std::puts("spec, plan, its cost over the row counts, then rows: its us / the best us");
  int changed = 0, count = 0;
  double log_cost = 0, worst = 1;
  const auto put = [&](PlanFile& into, const TimedSpec& spec, const std::string& plan) {
    if (into.plan(spec.leaves, spec.column) == plan) return;
    into.set(spec.leaves, spec.column, plan);
    ++changed;
  };
  std::vector<TimedSpec> specs = read_tune_cells(cells);
  // The largest first: a size without a row of its own has the next larger one's, which is then
  // what it stays.
  std::stable_sort(specs.begin(), specs.end(),
                   [](const TimedSpec& a, const TimedSpec& b) { return a.leaves > b.leaves; });
  for (const TimedSpec& spec : specs) {
    const std::string* second = many == nullptr ? nullptr : &many->plan(spec.leaves, spec.column);
    const Choice choice(spec, file.plan(spec.leaves, spec.column), second);
    const Pair& chosen = choice.chosen();
    if (chosen.first == nullptr) continue;
    const int before = changed;
    const std::string first_text = chosen.first->text();
    const std::string second_text = chosen.second_text(spec.multiprocessors);
    if (spec.in_file) {
      put(file, spec, first_text);
      if (many != nullptr) put(*many, spec, second_text);
    }
    choice.print(changed != before);
    log_cost += std::log(chosen.cost);
    worst = std::max(worst, choice.worst());
    ++count;
  }
  if (count == 0) throw CudaError("no plans were timed");
  std::puts(
      fmt::format("{} specs: their plans cost {:.2f} % (geometric mean), {:.1f} % in the worst "
                  "cell; {} plans changed",
                  count, 100 * (std::exp(log_cost / count) - 1), 100 * (worst - 1), changed)
          .c_str());
  return changed;
}

}  // namespace rmsjit::bench
