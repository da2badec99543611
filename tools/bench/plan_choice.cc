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
constexpr double kWorthASecondEntry = 1.002;  // of all
constexpr int64_t kFewestMany = 2;            // rows a multiprocessor
constexpr int64_t kMostLeavesOfAShortRow = 64;

// A plan, and perhaps another from a row count on, or a cluster for few rows.
struct Pair {
  const TimedPlan* first = nullptr;
  const TimedPlan* second = nullptr;
  int64_t from = 0;  // rows, of a second plan for many
  double cost = 1e30;

  bool second_takes(const TimedPoints& points, size_t i) const {
    if (second == nullptr) return false;
    if (!second->few) return points.rows[i] >= from;
    return points.rows[i] * second->shape.cluster <= points.multiprocessors;
  }
  double us(const TimedSpec& spec, size_t g, size_t i) const {
    return (second_takes(spec.gpus[g], i) ? second : first)->us[g][i];
  }
  // As the file has it: for many rows so many a multiprocessor that `from` is the least row count
  // measured which is not below.
  std::string second_text(int64_t multiprocessors) const {
    if (second == nullptr) return "{}";
    BlockShape shape = second->shape;
    if (!second->few) shape.from = static_cast<int>((from - 1) / multiprocessors);
    return plan_text(shape);
  }
};

class Choice {
 public:
  Choice(const TimedSpec& spec, const std::string& current, const std::string* current_second)
      : spec_(spec) {
    for (size_t g = 0; g < spec.gpus.size(); ++g) {
      auto& best = best_.emplace_back(spec.gpus[g].size(), 1e30);
      for (const TimedPlan& plan : spec.plans) {
        for (size_t i = 0; i < best.size(); ++i) best[i] = std::fmin(best[i], plan.us[g][i]);
      }
    }
    for (size_t g = 0; g < spec.gpus.size(); ++g) {
      double least = 1e30;
      for (const TimedPlan& plan : spec.plans) {
        if (!plan.few) least = std::fmin(least, cost_on(g, {&plan}));
      }
      least_.push_back(least);
    }
    Pair kept, single;
    const auto look_at = [&](Pair pair) {
      pair.cost = cost(pair);
      if (pair.cost < chosen_.cost) chosen_ = pair;
      if (pair.second == nullptr && pair.cost < single.cost) single = pair;
      const bool same_second =
          current_second == nullptr || pair.second_text(multiprocessors()) == *current_second;
      if (pair.first->text() == current && same_second) kept = pair;
    };
    for (const TimedPlan& plan : spec.plans) {
      if (!eligible(plan)) continue;
      look_at({&plan});
      if (current_second == nullptr) continue;
      for (const TimedPlan& second : spec.plans) {
        for (const Pair& pair : pairs(plan, second)) {
          if (worth_a_schedule(pair)) look_at(pair);
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
  std::string second_text() const { return chosen_.second_text(multiprocessors()); }

  void print(bool changed) const {
    std::string plans = chosen_.first->text();
    if (chosen_.second != nullptr) plans += ' ' + second_text();
    std::string line =
        fmt::format("{:<44} {:<18} {:+5.1f}%", spec_.text, plans, 100 * (chosen_.cost - 1));
    each_point([&](size_t g, size_t i, double us) {
      if (!std::isnan(us)) line += fmt::format("  {}: {:.2f}/{:.2f}", point(g, i), us, best_[g][i]);
    });
    std::puts((line + (changed ? "  changed" : "")).c_str());
    each_point([&](size_t g, size_t i, double us) {
      if (!(us > kWorthASecondPlan * best_[g][i])) return;
      const auto faster =
          std::find_if(spec_.plans.begin(), spec_.plans.end(),
                       [&](const TimedPlan& plan) { return plan.us[g][i] == best_[g][i]; });
      std::puts(fmt::format("    rows {}: {} takes {:.1f} % less", point(g, i), faster->text(),
                            100 * (1 - best_[g][i] / us))
                    .c_str());
    });
  }

  double worst() const {
    double worst = 1;
    each_point([&](size_t g, size_t i, double us) { worst = std::fmax(worst, us / best_[g][i]); });
    return worst;
  }

 private:
  int64_t multiprocessors() const { return spec_.gpus.back().multiprocessors; }
  std::string point(size_t g, size_t i) const {
    const TimedPoints& points = spec_.gpus[g];
    return points.text(i) + (spec_.gpus.size() > 1 ? " on " + points.gpu : "");
  }
  template <class Do>
  void each_point(const Do& work) const {
    for (size_t g = 0; g < best_.size(); ++g) {
      for (size_t i = 0; i < best_[g].size(); ++i) work(g, i, chosen_.us(spec_, g, i));
    }
  }
  bool eligible(const TimedPlan& plan) const {
    int64_t needed = 1;
    while (needed < spec_.leaves) needed *= 2;
    return !plan.few && (spec_.leaves > 32 || plan.shape.threads == needed);
  }
  // The pairs that the two may make. A plain cluster is for many rows, as a block is; one with a
  // residual has its registers already.
  std::vector<Pair> pairs(const TimedPlan& first, const TimedPlan& second) const {
    if (second.few) {
      const bool add = spec_.column % 2 == 1;
      if (first.shape.cluster > 1 && add) return {};
      return {{&first, &second}};
    }
    std::vector<Pair> out;
    if (first.shape.cluster > 1 || second.shape.cluster > 1) return out;
    const bool late = second.shape.trigger == Trigger::kWait ||
                      second.shape.trigger == Trigger::kIssue ||
                      second.shape.weight == WeightLoad::kLate;
    if (spec_.leaves <= kMostLeavesOfAShortRow && late) return out;
    for (const int64_t from : spec_.gpus.back().rows) {
      if (from > kFewestMany * multiprocessors()) out.push_back({&first, &second, from});
    }
    return out;
  }
  bool worth_a_schedule(const Pair& pair) const {
    for (size_t g = 0; g < best_.size(); ++g) {
      for (size_t i = 0; i < best_[g].size(); ++i) {
        if (pair.second_takes(spec_.gpus[g], i) &&
            pair.first->us[g][i] > kWorthASecondPlan * pair.second->us[g][i]) {
          return true;
        }
      }
    }
    return false;
  }
  // NaN where the GPU has not timed all of it, but for a cluster for few rows: where that would be
  // taken, such a GPU counts the best that it has.
  double cost_on(size_t g, const Pair& pair) const {
    double sum = 0;
    for (size_t i = 0; i < best_[g].size(); ++i) {
      const double us = pair.us(spec_, g, i);
      if (std::isnan(us) && g + 1 != best_.size() && pair.second != nullptr && pair.second->few &&
          pair.second_takes(spec_.gpus[g], i)) {
        continue;
      }
      sum += std::log(us / best_[g][i]);
    }
    return std::exp(sum / static_cast<double>(best_[g].size()));
  }
  double cost(const Pair& pair) const {
    double sum = 0;
    for (size_t g = 0; g < best_.size(); ++g) {
      const double cost = cost_on(g, pair);
      if (g + 1 == best_.size() && std::isnan(cost)) return 1e30;
      sum += std::log(std::isnan(cost) ? least_[g] : cost);
    }
    return std::exp(sum / static_cast<double>(best_.size()));
  }

  const TimedSpec& spec_;
  std::vector<std::vector<double>> best_;  // a GPU, a point
  std::vector<double> least_;              // a GPU: of the cheapest plan that it has timed
  Pair chosen_;
};

}  // namespace

int choose_plans(const std::vector<nlohmann::ordered_json>& records, PlanFile& file,
                 PlanFile* second_file) {
  std::puts("spec, plan, its cost over the row counts, then rows: its us / the best us");
  int changed = 0, count = 0;
  double log_cost = 0, worst = 1;
  const auto put = [&](PlanFile& into, const TimedSpec& spec, const std::string& plan) {
    if (into.plan(spec.leaves, spec.column) == plan) return;
    into.set(spec.leaves, spec.column, plan);
    ++changed;
  };
  std::vector<TimedSpec> specs = read_tune_records(records);
  // The largest first: a size without a row of its own has the next larger one's, which is then
  // what it stays.
  std::stable_sort(specs.begin(), specs.end(),
                   [](const TimedSpec& a, const TimedSpec& b) { return a.leaves > b.leaves; });
  for (const TimedSpec& spec : specs) {
    const std::string* second =
        second_file == nullptr ? nullptr : &second_file->plan(spec.leaves, spec.column);
    const Choice choice(spec, file.plan(spec.leaves, spec.column), second);
    const Pair& chosen = choice.chosen();
    if (chosen.first == nullptr) continue;
    const int before = changed;
    const std::string first_text = chosen.first->text();
    const std::string second_text = choice.second_text();
    if (spec.in_file) {
      put(file, spec, first_text);
      if (second_file != nullptr) put(*second_file, spec, second_text);
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
