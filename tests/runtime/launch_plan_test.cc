// SPDX-License-Identifier: Apache-2.0
// The plan of every size: legal for the template (its static_asserts, said once more on the host,
// where a thousand sizes cost nothing), and what a target can run.
#include "runtime/launch_plan.h"

#include <gtest/gtest.h>

#include "rmsjit/spec_text.h"

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
  if (!t.second) return;
  expect_legal(spec, t.second, target);
  EXPECT_LE(t.second.cluster, 16);
  EXPECT_FALSE(static_cast<const Schedule&>(t) == static_cast<const Schedule&>(t.second))
      << "the same entry twice";
  const bool many = t.second.takes == Tuning::Takes::kMany;
  EXPECT_EQ(many, t.second.cluster == 1) << "a cluster is for few rows, or for all";
  EXPECT_EQ(many, t.second.rows_a_multiprocessor > 0);
  if (many) {
    EXPECT_EQ(t.cluster, 1) << "a cluster's rows are for many as they are";
  }
  if (t.second.takes == Tuning::Takes::kFew) {
    EXPECT_EQ(t.second.shared_slots, 0) << "in registers";
  }
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
  for (const auto& [hidden, blocks] :
       {std::pair{12288, 1}, {16384, 1}, {32768, 4}, {65536, 8}, {262144, 8}}) {
    const std::string text = "hidden=" + std::to_string(hidden);
    EXPECT_EQ(launch_plan(spec_of(text, Target{90}), Target{90}).cluster, blocks) << text;
    EXPECT_EQ(launch_plan(spec_of(text, Target{89}), Target{89}).cluster, 1) << text;
  }
}

TEST(LaunchPlan, GivesLongRowsASecondSchedule) {
  using enum Tuning::Takes;
  const Target target{90};
  struct Want {
    const char* text;
    Tuning::Takes takes;
    int threads, cluster, registers, shared;
  };
  for (const Want& want :
       {Want{"hidden=32768", kFew, 128, 8, 4, 0}, Want{"hidden=65536,pdl=on", kFew, 128, 8, 8, 0},
        Want{"hidden=262144", kAll, 512, 16, 0, 4},
        Want{"hidden=262144,pdl=on", kAll, 256, 16, 8, 0},
        Want{"hidden=262144,residual=add", kAll, 256, 16, 8, 0}}) {
    SCOPED_TRACE(want.text);
    const Tuning::Second second = launch_plan(spec_of(want.text, target), target).second;
    ASSERT_TRUE(second);
    EXPECT_EQ(second.takes, want.takes);
    EXPECT_EQ(second.threads_per_row, want.threads);
    EXPECT_EQ(second.cluster, want.cluster);
    EXPECT_EQ(second.register_slots, want.registers);
    EXPECT_EQ(second.shared_slots, want.shared);
  }
  const auto has_second = [&](const char* text, int sm) {
    return static_cast<bool>(launch_plan(spec_of(text, Target{sm}), Target{sm}).second);
  };
  EXPECT_FALSE(has_second("hidden=65536,residual=add", 90)) << "in registers already";
  EXPECT_FALSE(has_second("hidden=262144,x=f32,residual=add", 90)) << "more than registers hold";
  EXPECT_FALSE(has_second("hidden=65536", 80));
  EXPECT_FALSE(has_second("hidden=262143", 90)) << "realigned";
}

TEST(LaunchPlan, GivesFewRowsOfMediumLengthAClusterWhereThereAreClusters) {
  const auto second = [&](const char* text, int sm) {
    return launch_plan(spec_of(text, Target{sm}), Target{sm}).second;
  };
  for (const char* text :
       {"hidden=8192", "hidden=4096,pdl=on", "hidden=12288,x=f16", "hidden=6144,residual=add",
        "hidden=5120,residual=add,pdl=on", "hidden=2048,x=f32,pdl=on", "hidden=8192,weight=none"}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(launch_plan(spec_of(text, Target{90}), Target{90}).cluster, 1);
    EXPECT_EQ(second(text, 90).takes, Tuning::Takes::kFew);
    EXPECT_GT(second(text, 90).cluster, 1);
    EXPECT_FALSE(second(text, 80));
  }
  for (const char* text : {"hidden=63,pdl=on", "hidden=8191,residual=add", "hidden=20001"}) {
    EXPECT_FALSE(second(text, 90)) << text << ": realigned";
  }
}

TEST(LaunchPlan, GivesShortRowsASecondScheduleForManyWhereItPays) {
  for (int sm : {80, 90}) {
    const Target target{sm};
    const auto second = [&](const char* text) {
      return launch_plan(spec_of(text, target), target).second;
    };
    const Tuning::Second many = second("hidden=768");
    EXPECT_EQ(many.takes, Tuning::Takes::kMany);
    EXPECT_EQ(many.threads_per_row, 64);
    EXPECT_GT(many.rows_a_multiprocessor, 0);
    EXPECT_FALSE(second("hidden=765")) << "realigned";
  }
}

TEST(LaunchPlan, GivesRealignedRowsAThreadALeafOrAtMostThreeLeavesAThreadAndManyFewerThreads) {
  const Target target{90};
  struct Want {
    const char* text;
    int threads, many;
  };
  for (const Want& want :
       {Want{"hidden=1001", 128, 0}, Want{"hidden=2881", 384, 128}, Want{"hidden=5125", 672, 256},
        Want{"hidden=5125,residual=add", 672, 0}, Want{"hidden=7169,x=f16", 512, 256},
        Want{"hidden=2881,x=f32", 736, 128}, Want{"hidden=5125,x=f32", 1024, 256},
        Want{"hidden=7169,x=f32", 1024, 512}, Want{"hidden=5125,x=f32,residual=add", 512, 256},
        Want{"hidden=5125,y=f32", 672, 256}, Want{"hidden=5125,x=f32,y=bf16", 672, 0}}) {
    const Tuning tuning = launch_plan(spec_of(want.text, target), target);
    EXPECT_EQ(tuning.threads_per_row, want.threads) << want.text;
    EXPECT_EQ(tuning.second.threads_per_row, want.many) << want.text;
    if (want.many == 0) continue;
    EXPECT_EQ(tuning.second.takes, Tuning::Takes::kMany) << want.text;
    EXPECT_EQ(tuning.second.rows_a_multiprocessor > 1, want.threads < 1024) << want.text;
  }
  // 512 rows of 5125 elements are many on 132 multiprocessors, of 2881 few.
  const auto from = [&](const char* text) {
    return 132 * launch_plan(spec_of(text, target), target).second.rows_a_multiprocessor;
  };
  EXPECT_LE(from("hidden=5125"), 512);
  EXPECT_GT(from("hidden=2881"), 512);
  EXPECT_GT(from("hidden=2881,x=f32,residual=add"), 1024);
}

}  // namespace
}  // namespace rmsjit
