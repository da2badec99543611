// SPDX-License-Identifier: Apache-2.0
// The rendered text is the identity of a kernel: the same for equal input, and another for each
// choice that changes code. That it compiles is shown by tests/emulate and tests/nvrtc.
#include "templates/render_spec.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "rmsjit/spec_text.h"

namespace rmsjit {
namespace {

const Target kSm90{90, false};

NormSpec parsed(const std::string& text) {
  const Result<NormSpec> spec = parse_spec(text);
  EXPECT_TRUE(spec.ok()) << spec.message();
  const Result<NormSpec> resolved = resolve(*spec, kSm90);
  EXPECT_TRUE(resolved.ok()) << resolved.message();
  return *resolved;
}

Tuning plain_tuning() {
  Tuning tuning;
  tuning.threads_per_row = 128;
  tuning.register_slots = 4;
  return tuning;
}

// Without the comment that names the spec: what the compiler sees.
std::string code(const NormSpec& spec, const Tuning& tuning) {
  const std::string text = render_spec(spec, tuning, kSm90);
  return text.substr(text.find('\n'));
}

// templates/spec.cuh, the sample for editors and nvcc, is a rendered file.
TEST(RenderSpec, GivesTheCommittedSample) {
  std::ifstream in(std::string(RMSJIT_TEMPLATES_DIR) + "/spec.cuh");
  std::stringstream sample;
  sample << in.rdbuf();
  Tuning tuning = plain_tuning();
  tuning.trigger = Trigger::kWait;
  EXPECT_EQ(render_spec(parsed("hidden=4096,x=bf16,residual=add,pdl=on"), tuning, kSm90),
            sample.str());
}

TEST(RenderSpec, GivesEachMeaningfulSpecAnotherText) {
  const std::vector<std::string> specs = {
      "hidden=4096",
      "hidden=4097",
      "hidden=4096,layout=heads",
      "hidden=4096,x=f16",
      "hidden=4096,x=f32",
      "hidden=4096,weight=f32",
      "hidden=4096,weight=none",
      "hidden=4096,y=f32",
      "hidden=4096,weight_form=one_plus",
      "hidden=4096,mul_round=twice",
      "hidden=4096,root=exact",
      "hidden=4096,pdl=on",
      "hidden=4096,pdl=on,constant_weight=on",
      "hidden=4096,residual=add",
      "hidden=4096,residual=add,residual_dtype=f32",
      "hidden=4096,residual=add,add_round=unrounded",
      "hidden=4096,residual=add,add_round=stats_unrounded",
  };
  std::map<std::string, std::string> seen;
  for (const std::string& text : specs) {
    const auto [at, fresh] = seen.emplace(code(parsed(text), plain_tuning()), text);
    EXPECT_TRUE(fresh) << text << " renders as " << at->second;
  }
}

TEST(RenderSpec, GivesEachTuningAnotherText) {
  const NormSpec spec = parsed("hidden=4096,residual=add,pdl=on");
  std::vector<Tuning> tunings(15, plain_tuning());
  tunings[1].threads_per_row = 256;
  tunings[2].max_rows_per_block = 2;
  tunings[3].register_slots = 2;
  tunings[4].shared_slots = 1;
  tunings[5].weight_early = false;
  tunings[6].trigger = Trigger::kWait;
  tunings[7].load_chunk = 2;
  tunings[8].cluster = 4;
  tunings[9].many = {plain_tuning(), 8};
  tunings[10].many = tunings[9].many;
  tunings[10].many.threads_per_row *= 2;
  tunings[11].many = tunings[9].many;
  tunings[11].many.weight_early = !tunings[9].many.weight_early;
  tunings[12].few = tunings[9].many;
  tunings[13].few = tunings[13].many = tunings[9].many;
  tunings[14].weight_ahead = true;
  std::map<std::string, size_t> seen;
  for (size_t i = 0; i < tunings.size(); ++i) {
    const auto [at, fresh] = seen.emplace(code(spec, tunings[i]), i);
    EXPECT_TRUE(fresh) << tuning_text(tunings[i]) << " renders as "
                       << tuning_text(tunings[at->second]);
  }
}

// Which launches take an extra schedule is no matter of code.
TEST(RenderSpec, ABoundIsNotInTheCode) {
  const NormSpec spec = parsed("hidden=4096");
  Tuning tuning = plain_tuning();
  tuning.few = tuning.many = {plain_tuning(), 1};
  const std::string text = code(spec, tuning);
  tuning.few.bound = 2;
  tuning.many.bound = 7;
  EXPECT_EQ(code(spec, tuning), text);
}

TEST(RenderSpec, AnExtraScheduleIsASpecOfItsOwn) {
  Tuning tuning;
  tuning.threads_per_row = 256;
  tuning.cluster = 8;
  tuning.register_slots = 0;
  tuning.shared_slots = 4;
  tuning.weight_early = false;
  const NormSpec spec = parsed("hidden=65536,pdl=on");
  for (const char* name : {"Few", "Many", "RMSJIT_FEW", "RMSJIT_MANY"}) {
    EXPECT_EQ(code(spec, tuning).find(name), std::string::npos) << name;
  }
  tuning.few = {tuning, 1};
  tuning.few.threads_per_row = 128;
  tuning.few.cluster = 16;
  tuning.few.register_slots = 4;
  tuning.few.shared_slots = 0;
  tuning.few.weight_early = true;
  tuning.few.trigger = Trigger::kEnd;
  tuning.many = {plain_tuning(), 8};
  tuning.many.threads_per_row = 512;
  const std::string text = code(spec, tuning);
  const size_t few_at = text.find("struct Few : Spec"),
               many_at = text.find("#define RMSJIT_MANY\n");
  ASSERT_LT(few_at, many_at);
  ASSERT_LT(many_at, text.find("struct Many : Spec"));
  const std::string few = text.substr(few_at, many_at - few_at), many = text.substr(many_at);
  EXPECT_NE(text.find("#define RMSJIT_FEW __cluster_dims__(16, 1, 1)\n"), std::string::npos);
  for (const char* constant :
       {"kThreads = 128,", "kMaxRows = 1,", "kCluster = 16,", "kRegisterSlots = 4,",
        "kSharedSlots = 0,", "kChunk = 4,", "kSharedBytes = 2592,", "kWeightEarly = true,",
        "kTriggerAtLoads = false,", "kTriggerAtEnd = true,"}) {
    EXPECT_NE(few.find(constant), std::string::npos) << constant << few;
  }
  for (const char* constant : {"kThreads = 512,", "kCluster = 1,", "kTriggerAtLoads = true,"}) {
    EXPECT_NE(many.find(constant), std::string::npos) << constant << many;
  }
}

TEST(RenderSpec, TheTextOfATuningSaysWhichLaunchesAnExtraScheduleTakes) {
  const Tuning plain = plain_tuning();
  const std::string first = tuning_text(plain);
  Tuning tuning = plain;
  tuning.many = {plain, 8};
  EXPECT_EQ(tuning_text(tuning), first + ",many=8(" + first + ")");
  tuning.many.end = 20;
  EXPECT_EQ(tuning_text(tuning), first + ",many=8..20(" + first + ")");
  tuning.many.end = 0;
  tuning.few = {plain, 1};
  tuning.few.cluster = 4;
  std::string few = first;
  few.replace(few.find("cluster=1"), 9, "cluster=4");
  EXPECT_EQ(tuning_text(tuning), first + ",few=1(" + few + "),many=8(" + first + ")");
  tuning.many = {};
  EXPECT_EQ(tuning_text(tuning), first + ",few=1(" + few + ")");
}

TEST(RenderSpec, APlanHasTheEntriesOfItsSchedules) {
  Tuning tuning = plain_tuning();
  EXPECT_TRUE(has_entry(tuning, KernelEntry::kPacked) && has_entry(tuning, KernelEntry::kAny));
  EXPECT_FALSE(has_entry(tuning, KernelEntry::kFew) || has_entry(tuning, KernelEntry::kMany));
  tuning.few = {plain_tuning(), 1};
  EXPECT_TRUE(has_entry(tuning, KernelEntry::kFew));
  EXPECT_FALSE(has_entry(tuning, KernelEntry::kMany));
  tuning.many = {plain_tuning(), 8};
  EXPECT_TRUE(has_entry(tuning, KernelEntry::kMany));
}

TEST(RenderSpec, RendersTheReciprocalAsTheNearestFloat) {
  for (int hidden : {1, 3, 7, 769, 4096, 5125, 262143, 262144}) {
    const std::string text = code(parsed("hidden=" + std::to_string(hidden)), plain_tuning());
    const std::string name = "inv_hidden() { return ";
    const size_t at = text.find(name);
    ASSERT_NE(at, std::string::npos);
    const double rendered = std::strtod(text.c_str() + at + name.size(), nullptr);
    EXPECT_EQ(rendered, static_cast<double>(static_cast<float>(1.0 / hidden))) << hidden;
  }
}

TEST(RenderSpec, ALeafHasFourElementsWhereEveryTensorIsF32) {
  for (const auto& [rest, elements] : {std::pair{"", 8},
                                       {",x=f16,residual=add", 8},
                                       {",x=f32", 4},
                                       {",x=f32,residual=add", 4},
                                       {",x=f32,weight=none", 4},
                                       {",x=f32,y=bf16", 8},
                                       {",x=f32,weight=bf16", 8},
                                       {",x=bf16,y=f32", 8}}) {
    const NormSpec spec = parsed(std::string("hidden=1001") + rest);
    EXPECT_EQ(leaf_elements(spec), elements) << rest;
    EXPECT_EQ(leaves_of(spec), elements == 4 ? 251 : 126) << rest;
    EXPECT_NE(code(spec, plain_tuning()).find(elements == 4 ? "kLeaf = 4," : "kLeaf = 8,"),
              std::string::npos)
        << rest;
  }
}

TEST(RenderSpec, SaysHowFarApartTheLanesAreThatOneThreadReads) {
  struct Case {
    const char* rest;
    int threads, rows, cluster, stride;
  };
  for (const Case& c : {Case{"", 32, 1, 1, 1},
                        {"", 64, 1, 1, 2},
                        {"", 96, 1, 1, 32},
                        {"", 128, 1, 1, 32},
                        {"", 64, 1, 2, 32},
                        {"", 64, 2, 1, 32},
                        {"", 32, 4, 1, 32},
                        {"", 16, 8, 1, 16},
                        {"", 8, 16, 1, 1},
                        {"", 4, 32, 1, 1},
                        {"", 2, 64, 1, 2},
                        {"", 1, 128, 1, 1},
                        {",residual=add", 32, 1, 1, 1},
                        {",residual=add", 8, 16, 1, 1},
                        {",residual=add", 8, 32, 1, 8},
                        {",residual=add", 16, 8, 1, 1},
                        {",residual=add", 16, 16, 1, 16},
                        {",residual=add", 32, 4, 1, 32},
                        {",residual=add,x=f32", 8, 16, 1, 8},
                        {",residual=add,pdl=on", 8, 16, 1, 8},
                        {",residual=add,pdl=on", 32, 1, 1, 1},
                        {",x=f32", 32, 1, 1, 2},
                        {",x=f32", 64, 1, 1, 2},
                        {",x=f32", 8, 16, 1, 2},
                        {",x=f32", 4, 32, 1, 4}}) {
    Tuning tuning;
    tuning.threads_per_row = c.threads;
    tuning.max_rows_per_block = c.rows;
    tuning.cluster = c.cluster;
    const NormSpec spec = parsed(std::string("hidden=64") + c.rest);
    const std::string wanted = "kLaneStride = " + std::to_string(c.stride) + ",";
    EXPECT_NE(code(spec, tuning).find(wanted), std::string::npos)
        << c.rest << ": " << c.threads << " x " << c.rows << ", " << wanted;
  }
}

// 50 MiB over what a row moves; the kernel has a policy where that is a number.
TEST(RenderSpec, SaysOfHowManyRowsALaunchMovesNoMoreThanL2Holds) {
  const auto rows = [](const char* text, const Target& target) {
    const int64_t in_l2 = rows_in_l2(parsed(text), target);
    const std::string rendered = render_spec(parsed(text), plain_tuning(), target);
    const char* wanted = in_l2 < kAnyRows ? "kInputPolicy = true," : "kInputPolicy = false,";
    EXPECT_NE(rendered.find(wanted), std::string::npos) << text;
    return in_l2;
  };
  EXPECT_EQ(rows("hidden=4096", kSm90), (50 << 20) / (2 * 8192));
  EXPECT_EQ(rows("hidden=4096,residual=add", kSm90), (50 << 20) / (4 * 8192));
  EXPECT_EQ(rows("hidden=4096,x=f32,y=bf16", kSm90), (50 << 20) / (3 * 8192));
  EXPECT_EQ(rows("hidden=1024", kSm90), (50 << 20) / (2 * 2048));
  // Shorter rows do not gain, heads are shorter, and nothing is known of other targets.
  EXPECT_EQ(rows("hidden=1016", kSm90), kAnyRows);
  EXPECT_EQ(rows("hidden=4096,layout=heads", kSm90), kAnyRows);
  EXPECT_EQ(rows("hidden=4096", Target{80}), kAnyRows);
  EXPECT_EQ(rows("hidden=4096", Target{100}), kAnyRows);
  EXPECT_EQ(rows("hidden=4096", Target{90, true}), kAnyRows);
}

TEST(RenderSpec, AsksForDynamicSharedMemoryOnlyAbove48KiB) {
  const NormSpec spec = parsed("hidden=262144,x=f32");
  Tuning tuning;
  tuning.threads_per_row = 512;
  tuning.register_slots = 2;
  EXPECT_EQ(dynamic_shared_bytes(spec, tuning), 0);
  tuning.shared_slots = 16;
  const int bytes = 16 * 512 * 16 + 512 * 4;  // sixteen slots of 16 bytes a thread, a partial each
  EXPECT_EQ(dynamic_shared_bytes(spec, tuning), bytes);
  EXPECT_NE(code(spec, tuning).find("kSharedBytes = " + std::to_string(bytes) + ","),
            std::string::npos);
}

}  // namespace
}  // namespace rmsjit
