// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/plan_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <set>

#include "runtime/launch_grid.h"
#include "tools/bench/cuda_session.h"
#include "tools/bench/tune_record.h"

namespace rmsjit::bench {
namespace {

constexpr double kWorthANewKey = 1.01;
constexpr double kWorthASchedule = 1.03;  // of a cell
constexpr double kWorthKeeping = 1.02;    // likewise, of one that the files have
constexpr double kWorthAnEntry = 1.005;   // of all
constexpr int64_t kFewestMany = 1;        // rows a multiprocessor
constexpr int64_t kMostLeavesOfAShortRow = 64;
constexpr double kNever = 1e30;

// An extra schedule of a set, as the files have it.
struct ExtraPlan {
  const TimedPlan* plan = nullptr;
  int bound = 0, end = 0;

  std::string text() const {
    if (plan == nullptr) return "{}";
    BlockShape shape = plan->shape;
    shape.bound = bound;
    shape.end = end;
    return plan_text(shape);
  }
  // What few_rows and many_rows ask of it.
  Tuning::Extra extra() const {
    Tuning::Extra extra;
    if (plan == nullptr) return extra;
    extra.threads_per_row = plan->shape.threads;
    extra.cluster = plan->shape.cluster;
    extra.bound = bound;
    extra.end = end;
    return extra;
  }
};

// A plan with its extra schedules.
struct PlanSet {
  const TimedPlan* first = nullptr;
  ExtraPlan few, many;
  double cost = kNever;

  // What a launch of that point takes.
  const TimedPlan* taken(const TimedPoints& points, size_t i) const {
    const int multiprocessors = static_cast<int>(points.multiprocessors);
    if (few_rows(few.extra(), multiprocessors).take(points.rows[i])) return few.plan;
    return many_rows(many.extra(), multiprocessors).take(points.rows[i]) ? many.plan : first;
  }
  // With what its entries cost beside time.
  double price() const {
    const int entries = (few.plan != nullptr ? 1 : 0) + (many.plan != nullptr ? 1 : 0);
    return cost * std::pow(kWorthAnEntry, entries);
  }
  // One schedule for few and for many: an image would have its entry twice.
  bool is_twice() const {
    return few.plan != nullptr && many.plan != nullptr && few.plan->text() == many.plan->text();
  }
};

class Choice {
 public:
  // `few` and `many` are null where there is no file for them.
  Choice(const TimedSpec& spec, const std::string& current, const std::string* few,
         const std::string* many)
      : spec_(spec) {
    for (size_t g = 0; g < spec.gpus.size(); ++g) {
      auto& best = best_.emplace_back(spec.gpus[g].size(), kNever);
      for (const TimedPlan& plan : spec.plans) {
        for (size_t i = 0; i < best.size(); ++i) best[i] = std::fmin(best[i], plan.us[g][i]);
      }
    }
    for (const TimedPlan& plan : spec.plans) {
      auto& of_plan = logs_.emplace_back(plan.us);
      for (size_t g = 0; g < best_.size(); ++g) {
        for (size_t i = 0; i < best_[g].size(); ++i) {
          of_plan[g][i] = std::log(of_plan[g][i] / best_[g][i]);
        }
      }
    }
    for (size_t g = 0; g < spec.gpus.size(); ++g) {
      double least = kNever;
      for (const TimedPlan& plan : spec.plans) {
        if (!plan.few) least = std::fmin(least, cost_on(g, {&plan}));
      }
      least_.push_back(least);
    }
    PlanSet kept;
    for (const TimedPlan& plan : spec.plans) {
      if (!eligible(plan)) continue;
      const PlanSet alone = with_cost({&plan});
      std::vector<PlanSet> fews, manys;
      if (few != nullptr) fews = sets_with_few(plan, *few);
      if (many != nullptr) manys = sets_with_many(plan, *many);
      const PlanSet best_few = cheapest(fews), best_many = cheapest(manys);
      PlanSet both = with_cost({&plan, best_few.few, best_many.many});
      if (both.is_twice()) both = alone;
      for (const PlanSet& set : {alone, best_few, best_many, both}) {
        if (set.price() < chosen_.price()) chosen_ = set;
      }
      if (plan.text() == current) kept = like_the_files(alone, fews, manys, few, many);
    }
    if (kept.first != nullptr && kept.cost <= kWorthANewKey * chosen_.cost) chosen_ = kept;
  }

  // first is null: no eligible plan was timed.
  const PlanSet& chosen() const { return chosen_; }

  void print(bool changed) const {
    std::string plans = chosen_.first->text();
    if (chosen_.few.plan != nullptr) plans += " few " + chosen_.few.text();
    if (chosen_.many.plan != nullptr) plans += " many " + chosen_.many.text();
    std::string line =
        fmt::format("{:<44} {:<18} {:+5.1f}%", spec_.text, plans, 100 * (chosen_.cost - 1));
    each_point([&](size_t g, size_t i, double us) {
      if (!std::isnan(us)) line += fmt::format("  {}: {:.2f}/{:.2f}", point(g, i), us, best_[g][i]);
    });
    std::puts((line + (changed ? "  changed" : "")).c_str());
    each_point([&](size_t g, size_t i, double us) {
      if (!(us > kWorthASchedule * best_[g][i])) return;
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
      for (size_t i = 0; i < best_[g].size(); ++i) {
        work(g, i, chosen_.taken(spec_.gpus[g], i)->us[g][i]);
      }
    }
  }
  bool eligible(const TimedPlan& plan) const {
    int64_t needed = 1;
    while (needed < spec_.leaves) needed *= 2;
    return !plan.few && (spec_.leaves > 32 || plan.shape.threads == needed);
  }

  static PlanSet cheapest(const std::vector<PlanSet>& sets) {
    PlanSet best;
    for (const PlanSet& set : sets) {
      if (set.cost < best.cost) best = set;
    }
    return best;
  }
  // The longest rows have extra schedules of their own (complete_tuning).
  bool may_have_extras() const { return spec_.leaves <= kMostLeavesOfEightBlocks; }
  static bool may_be_for_few(const TimedPlan& plan) {
    return plan.few || (plan.shape.cluster == 1 && plan.shape.rows == 1);
  }
  std::vector<PlanSet> sets_with_few(const TimedPlan& first, const std::string& in_file) const {
    std::vector<PlanSet> sets;
    if (!may_have_extras()) return sets;
    for (const TimedPlan& few : spec_.plans) {
      if (&few == &first || !may_be_for_few(few)) continue;
      for (int blocks = 1; blocks <= kMostBlocksOfFew; blocks *= 2) {
        const PlanSet set{&first, {&few, blocks}, {}};
        if (is_worth_it(set, set.few, in_file)) sets.push_back(with_cost(set));
      }
    }
    return sets;
  }
  struct Bounds {
    int bound, end;
  };
  // Around some of the row counts measured beyond one a multiprocessor: the tightest multiples of
  // the multiprocessors.
  std::vector<Bounds> bounds_of_many() const {
    std::set<int64_t> counts;
    for (const int64_t rows : spec_.gpus.back().rows) {
      if (rows > kFewestMany * multiprocessors()) counts.insert(rows);
    }
    std::vector<Bounds> bounds;
    for (auto first = counts.begin(); first != counts.end(); ++first) {
      const auto bound = static_cast<int>((*first - 1) / multiprocessors());
      for (auto last = first; last != counts.end(); ++last) {
        const auto end = static_cast<int>(*last / multiprocessors() + 1);
        bounds.push_back({bound, std::next(last) == counts.end() ? 0 : end});
      }
    }
    return bounds;
  }
  std::vector<PlanSet> sets_with_many(const TimedPlan& first, const std::string& in_file) const {
    std::vector<PlanSet> sets;
    if (!may_have_extras()) return sets;
    const std::vector<Bounds> bounds = bounds_of_many();
    for (const TimedPlan& many : spec_.plans) {
      const bool late = many.shape.trigger == Trigger::kWait ||
                        many.shape.trigger == Trigger::kIssue ||
                        many.shape.weight == WeightLoad::kLate;
      if (many.few || (spec_.leaves <= kMostLeavesOfAShortRow && late)) continue;
      for (const auto& [bound, end] : bounds) {
        const PlanSet set{&first, {}, {&many, bound, end}};
        if (is_worth_it(set, set.many, in_file)) sets.push_back(with_cost(set));
      }
    }
    return sets;
  }
  bool is_worth_it(const PlanSet& set, const ExtraPlan& extra, const std::string& in_file) const {
    const double worth = extra.text() == in_file ? kWorthKeeping : kWorthASchedule;
    for (size_t g = 0; g < best_.size(); ++g) {
      for (size_t i = 0; i < best_[g].size(); ++i) {
        if (set.taken(spec_.gpus[g], i) == extra.plan &&
            set.first->us[g][i] > worth * extra.plan->us[g][i]) {
          return true;
        }
      }
    }
    return false;
  }
  // The set of this first plan that is in the files, without what of it was not timed or is not
  // worth it any more beside the other.
  PlanSet like_the_files(const PlanSet& alone, const std::vector<PlanSet>& fews,
                         const std::vector<PlanSet>& manys, const std::string* few,
                         const std::string* many) const {
    PlanSet kept = alone;
    const auto names_one = [](const std::string* text) { return text != nullptr && *text != "{}"; };
    if (names_one(few)) {
      for (const PlanSet& set : fews) {
        if (set.few.text() == *few) kept.few = set.few;
      }
    }
    if (names_one(many)) {
      for (const PlanSet& set : manys) {
        if (set.many.text() == *many) kept.many = set.many;
      }
    }
    for (ExtraPlan* extra : {&kept.few, &kept.many}) {
      if (extra->plan != nullptr && !is_worth_it(kept, *extra, extra->text())) *extra = {};
    }
    return with_cost(kept);
  }

  // NaN where the GPU has not timed all of it, but for a schedule for few rows: where that would be
  // taken, such a GPU counts the best that it has.
  double cost_on(size_t g, const PlanSet& set) const {
    double sum = 0;
    for (size_t i = 0; i < best_[g].size(); ++i) {
      const TimedPlan* plan = set.taken(spec_.gpus[g], i);
      const double of_best = logs_[static_cast<size_t>(plan - spec_.plans.data())][g][i];
      if (std::isnan(of_best) && g + 1 != best_.size() && plan == set.few.plan) continue;
      sum += of_best;
    }
    return std::exp(sum / static_cast<double>(best_[g].size()));
  }
  PlanSet with_cost(PlanSet set) const {
    double sum = 0;
    for (size_t g = 0; g < best_.size(); ++g) {
      const double cost = cost_on(g, set);
      if (g + 1 == best_.size() && std::isnan(cost)) {
        set.cost = kNever;
        return set;
      }
      sum += std::log(std::isnan(cost) ? least_[g] : cost);
    }
    set.cost = std::exp(sum / static_cast<double>(best_.size()));
    return set;
  }

  const TimedSpec& spec_;
  std::vector<std::vector<double>> best_;  // a GPU, a point
  // Of a time over the best: a plan, a GPU, a point.
  std::vector<std::vector<std::vector<double>>> logs_;
  std::vector<double> least_;  // a GPU: of the cheapest plan that it has timed
  PlanSet chosen_;
};

}  // namespace

int choose_plans(const std::vector<nlohmann::ordered_json>& records, const PlanFiles& files) {
  std::puts("spec, plan, its cost over the row counts, then rows: its us / the best us");
  int changed = 0, count = 0;
  double log_cost = 0, worst = 1;
  const auto put = [&](PlanFile* into, const TimedSpec& spec, const std::string& plan) {
    if (into == nullptr || into->plan(spec.leaves, spec.column) == plan) return;
    std::puts(fmt::format("{}: not {} any more but {}", spec.text,
                          into->plan(spec.leaves, spec.column), plan)
                  .c_str());
    into->set(spec.leaves, spec.column, plan);
    ++changed;
  };
  const auto current = [](const PlanFile* file, const TimedSpec& spec) {
    return file == nullptr ? nullptr : &file->plan(spec.leaves, spec.column);
  };
  std::vector<TimedSpec> specs = read_tune_records(records);
  // The largest first: a size without a row of its own has the next larger one's, which is then
  // what it stays.
  std::stable_sort(specs.begin(), specs.end(),
                   [](const TimedSpec& a, const TimedSpec& b) { return a.leaves > b.leaves; });
  for (const TimedSpec& spec : specs) {
    const Choice choice(spec, *current(&files.first, spec), current(files.few, spec),
                        current(files.many, spec));
    const PlanSet& chosen = choice.chosen();
    if (chosen.first == nullptr) continue;
    const int before = changed;
    if (spec.in_file) {
      put(&files.first, spec, chosen.first->text());
      put(files.few, spec, chosen.few.text());
      put(files.many, spec, chosen.many.text());
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
