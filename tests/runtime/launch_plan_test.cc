// SPDX-License-Identifier: Apache-2.0
// The plan of every size: legal for the template (its static_asserts, said once more on the host,
// where a thousand sizes cost nothing), and what a target can run.
#include "runtime/launch_plan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "rmsjit/spec_text.h"
#include "tests/plan_search.h"

namespace rmsjit {
namespace {

constexpr int kTargets[] = {80, 86, 89, 90, 100, 120};

NormSpec spec_of(const std::string& text, const Target& target) {
  const auto spec = parse_spec(text);
  EXPECT_TRUE(spec.ok()) << text;
  return canonical(*spec, target);
}

void expect_legal(const NormSpec& spec, const Schedule& t, const Target& target) {
  const int leaves = leaves_of(spec);
  const int row_threads = t.threads_per_row * t.cluster;
  const int slots = (leaves + row_threads - 1) / row_threads;
  EXPECT_LE(t.threads_per_row * t.max_rows_per_block, 1024);
  EXPECT_TRUE(t.threads_per_row % 32 == 0 || 32 % t.threads_per_row == 0);
  EXPECT_EQ(t.threads_per_row * t.max_rows_per_block % 32, 0);
  if (leaf_elements(spec) == 4 && leaves > 1) {
    EXPECT_GE(t.threads_per_row, 2);
  }
  if (slots > 1) {
    EXPECT_EQ(row_threads & (row_threads - 1), 0);
  }
  EXPECT_LE(t.register_slots + t.shared_slots, slots);
  EXPECT_GE(t.load_chunk, 1);
  if (t.weight_early) {
    EXPECT_EQ(t.register_slots, slots);
  }
  EXPECT_TRUE(!t.weight_ahead || (t.weight_early && target.sm >= 90));
  if (t.shared_slots > 0) {
    EXPECT_EQ(t.max_rows_per_block, 1);
  }
  if (target.sm < 90) {
    EXPECT_EQ(t.cluster, 1);
  }
  if (t.cluster > 1) {
    EXPECT_EQ(t.max_rows_per_block, 1);
    EXPECT_GE(t.threads_per_row, 64);
    EXPECT_EQ(t.cluster & (t.cluster - 1), 0);
  }
  const int shared = target.sm == 90 || target.sm == 100 ? 227 : target.sm == 80 ? 163 : 99;
  EXPECT_LE(dynamic_shared_bytes(spec, t), shared * 1024);
}

void expect_legal(const NormSpec& spec, const Target& target) {
  const Tuning t = launch_plan(spec, target);
  SCOPED_TRACE(spec_text(spec) + " on " + target.name() + ": " + tuning_text(t));
  expect_legal(spec, t, target);
  EXPECT_LE(t.cluster, 8);
  const Schedule &few = t.few, &many = t.many;
  if (t.few) {
    expect_legal(spec, few, target);
    EXPECT_EQ(few.max_rows_per_block, few.min_rows_per_block());
    EXPECT_EQ(few.shared_slots, 0) << "in registers";
    EXPECT_GT(t.few.bound, 0);
  }
  if (t.many) {
    expect_legal(spec, many, target);
    EXPECT_EQ(many.cluster == 16, t.many.bound == 0) << "the longest rows' is for all";
    EXPECT_TRUE(t.many.end == 0 || t.many.end > t.many.bound);
  }
  EXPECT_LE(std::max(few.cluster, many.cluster), 16);
  const bool twice = (t.few && few == t) || (t.many && many == t) || (t.few && few == many);
  EXPECT_FALSE(twice) << "the same entry twice";
}

TEST(LaunchPlan, IsLegalForEverySizeTypeAndTarget) {
  for (int sm : kTargets) {
    const Target target{sm};
    for (const char* rest :
         {"", ",residual=add", ",x=f32", ",x=f32,residual=add", ",weight=none",
          ",residual=add,weight=none", ",residual=add,residual_dtype=f32,add_round=unrounded",
          ",pdl=on", ",residual=add,pdl=on", ",x=f32,y=bf16,pdl=on", ",x=f16,weight=f32,pdl=on"}) {
      if (sm < 90 && std::string(rest).find("pdl=on") != std::string::npos) continue;
      for (int64_t hidden = 1; hidden <= 262144; hidden += hidden < 2100 ? 1 : hidden / 97) {
        expect_legal(spec_of("hidden=" + std::to_string(hidden) + rest, target), target);
        if (HasFailure()) return;
      }
      expect_legal(spec_of(std::string("hidden=262144") + rest, target), target);
    }
  }
}

TEST(LaunchPlan, GivesLongRowsAClusterWhereThereAreClusters) {
  for (const char* text : {"hidden=32768", "hidden=65536", "hidden=262144"}) {
    EXPECT_GT(launch_plan(spec_of(text, Target{90}), Target{90}).cluster, 1) << text;
    EXPECT_EQ(launch_plan(spec_of(text, Target{89}), Target{89}).cluster, 1) << text;
  }
  EXPECT_EQ(launch_plan(spec_of("hidden=4096", Target{90}), Target{90}).cluster, 1);
}

TEST(LaunchPlan, GivesTheLongestRowsSixteenBlocksForEveryLaunch) {
  const Target target{90};
  const auto plan = [&](const char* text) { return launch_plan(spec_of(text, target), target); };
  const auto is = [](const Tuning::Extra& extra, int threads, int registers, int shared) {
    return extra.threads_per_row == threads && extra.cluster == 16 &&
           extra.register_slots == registers && extra.shared_slots == shared;
  };
  const Tuning plain = plan("hidden=262144");
  EXPECT_TRUE(is(plain.few, 256, 8, 0)) << tuning_text(plain);
  EXPECT_EQ(plain.few.bound, 2);
  EXPECT_TRUE(is(plain.many, 512, 0, 4)) << tuning_text(plain);
  for (const char* text : {"hidden=262144,pdl=on", "hidden=262144,residual=add"}) {
    const Tuning tuning = plan(text);
    EXPECT_FALSE(tuning.few) << text;
    EXPECT_TRUE(is(tuning.many, 256, 8, 0)) << tuning_text(tuning);
  }
  EXPECT_FALSE(plan("hidden=262144,x=f32,residual=add").many) << "more than registers hold";
  const Tuning realigned = plan("hidden=262143");
  EXPECT_FALSE(realigned.few || realigned.many);
  EXPECT_NE(plan("hidden=131072").many.cluster, 16) << "not of the longest";
}

TEST(LaunchPlan, GivesFewRowsAClusterInRegistersWhereThereAreClusters) {
  // Of one block a row as a rule, and of a cluster that keeps it in shared memory.
  const auto one = [](const Tuning& t) { return t.few.cluster > 1 && t.cluster == 1; };
  const auto several = [](const Tuning& t) { return t.few.cluster > 1 && t.cluster > 1; };
  for (const std::string& text :
       {spec_with("", {90}, one), spec_with(",pdl=on", {90}, one), spec_with(",x=f16", {90}, one),
        spec_with(",residual=add", {90}, one), spec_with(",residual=add,pdl=on", {90}, one),
        spec_with(",x=f32,pdl=on", {90}, one), spec_with(",weight=none", {90}, one),
        spec_with("", {90}, several), spec_with(",pdl=on", {90}, several)}) {
    SCOPED_TRACE(text);
    const NormSpec spec = spec_of(text, Target{90});
    const Tuning::Extra few = launch_plan(spec, Target{90}).few;
    EXPECT_GE(few.register_slots * few.threads_per_row * few.cluster, leaves_of(spec));
    EXPECT_FALSE(launch_plan(spec_of(text, Target{80}), Target{80}).few);
    NormSpec realigned = spec;
    realigned.hidden -= 1;
    EXPECT_EQ(launch_plan(realigned, Target{90}).few.cluster, 1);
  }
}

TEST(LaunchPlan, GivesFewShortRowsOneRowABlockOnEveryTarget) {
  const auto alone = [](const Tuning& t) {
    return t.few && t.few.cluster == 1 && t.few.max_rows_per_block == 1 && t.max_rows_per_block > 1;
  };
  for (int sm : {80, 90}) {
    const Target target{sm};
    for (const char* rest : {"", ",residual=add"}) {
      const NormSpec spec = spec_of(spec_with(rest, target, alone), target);
      NormSpec realigned = spec;
      realigned.hidden -= 3;
      EXPECT_FALSE(launch_plan(realigned, target).few);
    }
  }
}

TEST(LaunchPlan, GivesManyShortRowsAScheduleOfTheirOwnWhereItPays) {
  const auto has = [](const Tuning& t) { return t.many && t.many.cluster == 1; };
  for (int sm : {80, 90}) {
    const Target target{sm};
    const NormSpec spec = spec_of(spec_with("", target, has), target);
    EXPECT_GT(launch_plan(spec, target).many.bound, 0);
    NormSpec realigned = spec;
    realigned.hidden -= 3;
    EXPECT_FALSE(launch_plan(realigned, target).many);
  }
}

TEST(LaunchPlan, GivesShorterRowsTheirScheduleForManyFromAsManyBlocks) {
  const Target target{90};
  int with_many = 0;
  for (const char* rest : {"", ",residual=add", ",pdl=on", ",residual=add,pdl=on"}) {
    const Tuning longest = launch_plan(spec_of(fmt::format("hidden=64{}", rest), target), target);
    if (!longest.many) continue;
    ++with_many;
    for (const int hidden : {8, 16, 32}) {
      const NormSpec spec = spec_of(fmt::format("hidden={}{}", hidden, rest), target);
      const Tuning::Extra many = launch_plan(spec, target).many;
      ASSERT_TRUE(many) << spec_text(spec);
      EXPECT_GT(many.max_rows_per_block, longest.many.max_rows_per_block);
      EXPECT_EQ(many.bound * longest.many.max_rows_per_block,
                longest.many.bound * many.max_rows_per_block)
          << spec_text(spec);
    }
  }
  EXPECT_GT(with_many, 0);
}

TEST(LaunchPlan, APlanMayHaveBothExtraSchedulesAndNoneTwice) {
  const Target target{90};
  const NormSpec spec = spec_of("hidden=8192", target);
  const BlockShape one{256, 1, Trigger::kEnd}, two{512, 1, Trigger::kEnd};
  const BlockShape few{128, 1, Trigger::kEnd, 4, WeightLoad::kEarly, 2};
  const BlockShape many{512, 1, Trigger::kEnd, 1, WeightLoad::kEarly, 7, 30};
  const Tuning both = complete_tuning(spec, target, one, few, many);
  EXPECT_EQ(both.few, (Tuning::Extra{*schedule_in_registers(spec, few), 2}));
  EXPECT_EQ(both.many, (Tuning::Extra{complete_schedule(spec, target, many), 7, 30}));
  const Tuning same = complete_tuning(spec, target, two, few, many);
  EXPECT_TRUE(same.few);
  EXPECT_FALSE(same.many) << "that of every launch";
}

TEST(LaunchPlan, AScheduleForFewRowsOfOneBlockARowIsCompletedAsAnyOther) {
  const Target target{90};
  const NormSpec spec = spec_of("hidden=8192,x=f32,residual=add", target);
  const BlockShape few{256, 1, Trigger::kEnd, 1, WeightLoad::kLate, 1};
  const Tuning tuning = complete_tuning(spec, target, {512, 1, Trigger::kEnd}, few);
  EXPECT_EQ(tuning.few, (Tuning::Extra{complete_schedule(spec, target, few), 1}));
}

TEST(LaunchPlan, AWeightIsAskedForAheadWhereItIsLoadedEarlyAndTheTargetCan) {
  const BlockShape ahead{128, 1, Trigger::kEnd, 1, WeightLoad::kAhead};
  const auto completed = [&](const char* text, const Target& target) {
    return complete_schedule(spec_of(text, target), target, ahead);
  };
  EXPECT_TRUE(completed("hidden=3072,residual=add", Target{90}).weight_ahead);
  EXPECT_TRUE(completed("hidden=3072,residual=add", Target{120}).weight_ahead);
  const Schedule older = completed("hidden=3072,residual=add", Target{80});
  EXPECT_TRUE(older.weight_early && !older.weight_ahead);
  EXPECT_FALSE(completed("hidden=3072,residual=add,pdl=on", Target{90}).weight_ahead);
  EXPECT_FALSE(completed("hidden=3072,residual=add,weight=none", Target{90}).weight_ahead);
  EXPECT_FALSE(completed("hidden=32768,residual=add", Target{90}).weight_ahead) << "loaded late";
  EXPECT_TRUE(launch_plan(spec_of("hidden=3072,residual=add", Target{90}), {90}).few.weight_ahead);
  EXPECT_FALSE(launch_plan(spec_of("hidden=3072,residual=add", Target{80}), {80}).few);
}

// Few of them have a thread a leaf, if the others do not; many have fewer threads, or registers.
TEST(LaunchPlan, GivesRealignedRowsAtMostThreeLeavesAThreadAndFewOthersThanMany) {
  const Target target{90};
  int with_few = 0, with_many = 0;
  for (const int hidden : {513, 1001, 2881, 4001, 5125, 6001, 7169, 8191}) {
    for (const char* rest : {"", ",pdl=on", ",x=f16", ",residual=add", ",x=f32", ",y=f32",
                             ",x=f32,residual=add", ",x=f32,y=bf16"}) {
      const NormSpec spec = spec_of("hidden=" + std::to_string(hidden) + rest, target);
      const Tuning tuning = launch_plan(spec, target);
      SCOPED_TRACE(spec_text(spec) + ": " + tuning_text(tuning));
      const Tuning::Extra &few = tuning.few, &many = tuning.many;
      const int leaves = leaves_of(spec);
      EXPECT_EQ(tuning.cluster, 1);
      // 512 threads at most where wide inputs do not fit the registers of 1024.
      const bool wide_add = leaf_elements(spec) == 4 && spec.has_residual();
      EXPECT_LE(leaves, (wide_add ? 4 : 3) * tuning.threads_per_row);
      if (few) {
        ++with_few;
        EXPECT_GE(few.threads_per_row, leaves);
      }
      if (many) {
        ++with_many;
        EXPECT_LE(leaves, 6 * many.threads_per_row);
        EXPECT_LE(many.threads_per_row, tuning.threads_per_row);
        EXPECT_TRUE(many.threads_per_row < tuning.threads_per_row || !many.weight_early);
        EXPECT_GT(many.bound, few.bound);
        EXPECT_EQ(many.bound > 1, tuning.threads_per_row < 1024);
      }
    }
  }
  EXPECT_GT(with_few, 0);
  EXPECT_GT(with_many, with_few);
}

TEST(LaunchPlan, GivesRealignedRowsWhatWasMeasured) {
  const Target target{90};
  struct Want {
    const char* text;
    int few, few_bound, first, many, many_bound;
    bool late;
  };
  for (const Want& want :
       {Want{"hidden=1001", 0, 0, 128, 0, 0, false}, Want{"hidden=2881", 0, 0, 384, 128, 6, false},
        Want{"hidden=4001", 512, 8, 256, 128, 38, false},
        Want{"hidden=5125,pdl=on", 672, 6, 256, 128, 30, false},
        Want{"hidden=6001,x=f16", 768, 6, 256, 128, 25, false},
        Want{"hidden=7169", 0, 0, 512, 256, 3, false},
        Want{"hidden=2881,residual=add", 0, 0, 384, 128, 35, true},
        Want{"hidden=5125,residual=add", 0, 0, 672, 256, 20, true},
        Want{"hidden=6001,residual=add", 0, 0, 768, 256, 17, true},
        Want{"hidden=7169,residual=add", 0, 0, 512, 0, 0, false},
        Want{"hidden=2881,x=f32", 0, 0, 736, 128, 6, false},
        Want{"hidden=5125,x=f32", 0, 0, 1024, 512, 1, true},
        Want{"hidden=2881,x=f32,residual=add", 0, 0, 736, 256, 11, true},
        Want{"hidden=5125,x=f32,residual=add", 0, 0, 512, 512, 6, true}}) {
    const Tuning tuning = launch_plan(spec_of(want.text, target), target);
    SCOPED_TRACE(std::string(want.text) + ": " + tuning_text(tuning));
    EXPECT_EQ(tuning.few.threads_per_row, want.few);
    EXPECT_EQ(tuning.few.bound, want.few_bound);
    EXPECT_EQ(tuning.threads_per_row, want.first);
    EXPECT_EQ(tuning.many.threads_per_row, want.many);
    EXPECT_EQ(tuning.many.bound, want.many_bound);
    if (want.many != 0) {
      EXPECT_EQ(tuning.many.weight_early, !want.late);
    }
  }
}

}  // namespace
}  // namespace rmsjit
