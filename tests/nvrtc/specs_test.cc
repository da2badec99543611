// SPDX-License-Identifier: Apache-2.0
// Every value of every spec field, and every size that models use, on every target: it compiles,
// needs no local memory and fits its largest block.
#include <gtest/gtest.h>

#include "rmsjit/spec_text.h"
#include "tests/nvrtc/nvrtc_fixture.h"

namespace rmsjit {
namespace {

class Specs : public NvrtcTest {
 protected:
  // Specs that a target has not (pdl below sm_90) or NVRTC does not know are left out; the test
  // fails when nothing is left of a target that NVRTC knows.
  void compile(const std::vector<std::string>& texts) {
    std::vector<KernelId> ids;
    for (const char* name : kTargets) {
      const auto target = parse_target(name);
      ASSERT_TRUE(target.ok());
      if (!knows(*target)) continue;
      const size_t before = ids.size();
      for (const std::string& text : texts) {
        if (!target->has_pdl() && text.find("pdl=on") != std::string::npos) continue;
        ids.push_back(kernel_id(text, name));
      }
      ASSERT_GT(ids.size(), before) << name;
    }
    size_t seen = 0;
    compile_each(ids, [&](const KernelId& id, const CompiledImage& image) {
      ++seen;
      expect_shippable(id, image);
    });
    EXPECT_EQ(seen, ids.size());
  }
};

// The spec that gives `field=value` a meaning.
std::string context_of(const std::string& field, const std::string& value) {
  if (field == "residual_dtype") {
    const std::string x = value == "f32" ? "bf16" : value;
    return "hidden=2880,x=" + x + ",residual=add";
  }
  if (field == "residual_placement" || field == "add_round") return "hidden=2880,residual=add";
  if (field == "constant_weight") return "hidden=2880,pdl=on";
  return "hidden=2880";
}

TEST_F(Specs, EveryValueOfEveryFieldOnEveryTarget) {
  std::vector<std::string> texts;
  for (const SpecField& field : kSpecFields) {
    for (int v = 0; v < field.value_count(); ++v) {
      const std::string value = field.values[v];
      if (value.empty()) continue;
      const std::string text = context_of(field.name, value);
      const bool given = text.find(std::string(field.name) + "=") != std::string::npos;
      texts.push_back(given ? text : text + "," + field.name + "=" + value);
    }
  }
  compile(texts);
}

TEST_F(Specs, SizesAtTheEdges) {
  std::vector<std::string> texts;
  for (const char* hidden : {"1", "7", "8", "111", "769", "5125", "32771", "262144"}) {
    texts.push_back(std::string("hidden=") + hidden + ",x=f32,residual=add,pdl=auto");
  }
  compile(texts);
}

// Their extra schedules hold a row in shared memory (of many plain rows) or all of it in registers
// (of few, under PDL, with a residual), whatever the dtypes are.
TEST_F(Specs, ExtraSchedulesOfTheLongestRows) {
  std::vector<std::string> texts;
  for (const char* rest :
       {"", ",x=f32", ",x=f16,weight=bf16", ",x=f16,weight=f32", ",weight=none"}) {
    texts.push_back(std::string("hidden=262144") + rest);
    texts.push_back(std::string("hidden=262144,pdl=auto") + rest);
  }
  for (const char* rest :
       {",pdl=auto", ",residual_dtype=f32", ",add_round=unrounded,weight_form=one_plus"}) {
    texts.push_back(std::string("hidden=262144,residual=add") + rest);
  }
  texts.push_back("hidden=131072,x=f32,y=bf16");
  texts.push_back("hidden=131072,x=f16,weight=bf16");
  compile(texts);
}

// The entry is for rows that are not packed, with registers and loads of its own.
TEST_F(Specs, ExtraSchedulesOfRealignedRows) {
  std::vector<std::string> texts;
  for (const char* hidden : {"1281", "2047", "2881", "5125", "7169", "8191"}) {
    for (const char* rest : {"", ",x=f16,pdl=on", ",x=f32", ",x=f32,residual=add", ",y=f32",
                             ",residual=add", ",residual=add,add_round=stats_unrounded",
                             ",residual=add,add_round=unrounded,pdl=auto"}) {
      texts.push_back(std::string("hidden=") + hidden + rest);
    }
  }
  for (const char* hidden : {"517", "1023"}) {
    texts.push_back(std::string("hidden=") + hidden + ",x=f32");
  }
  texts.push_back("hidden=262143");
  compile(texts);
}

constexpr const char* kModelHidden[] = {"896",  "1024", "1152", "1536", "2048",  "2304", "2560",
                                        "2880", "3072", "3584", "3840", "4096",  "4608", "5120",
                                        "5376", "6144", "7168", "8192", "12288", "16384"};
constexpr const char* kModelHeads[] = {"64", "128", "192", "256", "512"};

std::vector<std::string> model_specs(const std::string& rest) {
  std::vector<std::string> texts;
  for (const char* hidden : kModelHidden) texts.push_back(std::string("hidden=") + hidden + rest);
  return texts;
}

TEST_F(Specs, EverySizeOfAModelWithAdd) { compile(model_specs(",residual=add,pdl=auto")); }

TEST_F(Specs, EverySizeOfAModelPlain) { compile(model_specs(",pdl=auto")); }

// f16 beside bf16: ptxas spilled a pair of registers of 40 where the weight came after the sum.
TEST_F(Specs, EverySizeOfAModelWithTwoKindsOfHalves) {
  auto texts = model_specs(",x=f16,weight=bf16,weight_form=one_plus,mul_round=twice,pdl=auto");
  texts.push_back("hidden=12288,x=f16,weight=bf16");
  compile(texts);
}

TEST_F(Specs, EverySizeOfAHead) {
  std::vector<std::string> texts;
  for (const char* hidden : kModelHeads) {
    const std::string text = std::string("hidden=") + hidden + ",layout=heads,y_placement=in_place";
    texts.push_back(text);
    texts.push_back(text + ",weight=none");
  }
  compile(texts);
}

}  // namespace
}  // namespace rmsjit
