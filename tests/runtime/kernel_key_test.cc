// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel_key.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <clocale>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "rmsjit/spec_text.h"
#include "tests/runtime/temp_dir.h"

namespace rmsjit {
namespace {

constexpr Target kSm90{90, false};

KernelId make_id(const NormSpec& spec, const Target& target = kSm90) {
  Result<KernelId> id = KernelId::make(spec, target);
  if (!id.ok()) ADD_FAILURE() << id.message();
  return id.ok() ? *id : KernelId{};
}

std::string digest(const KernelId& id, int major = 13) {
  return id.cache_key(major).digest().hex();
}

NormSpec full_spec() {
  return *parse_spec("hidden=4096,x=f16,weight=f32,residual=add,residual_dtype=f16,pdl=on");
}

TEST(KernelKey, EveryValueOfEverySpecFieldHasItsOwnDigest) {
  std::map<std::string, std::string> seen;
  for (const SpecField& field : kSpecFields) {
    for (int value = 0; value < field.value_count(); ++value) {
      NormSpec spec = full_spec();
      field.set(spec, value);
      const Result<KernelId> id = KernelId::make(spec, kSm90);
      if (!id.ok()) continue;  // not every pair of fields goes together
      const std::string text = spec_text(id->spec);
      const auto [it, fresh] = seen.emplace(digest(*id), text);
      EXPECT_EQ(it->second, text) << "one digest for two specs";
    }
  }
  EXPECT_GE(seen.size(), 18u);
}

TEST(KernelKey, EqualMathsIsOneKey) {
  NormSpec spec = full_spec();
  NormSpec same = spec;
  same.y = DType::kF16;  // the dtype of x, said aloud
  same.pdl = Pdl::kAuto;
  EXPECT_EQ(digest(make_id(spec)), digest(make_id(same)));
}

TEST(KernelKey, HiddenTargetKindMajorAndTuningChangeTheDigest) {
  const NormSpec spec = *parse_spec("hidden=4096");
  const KernelId base = make_id(spec);
  std::vector<std::string> digests{digest(base), digest(base, 12)};
  NormSpec wider = spec;
  wider.hidden = 4097;
  digests.push_back(digest(make_id(wider)));
  digests.push_back(digest(make_id(spec, Target{80, false})));
  digests.push_back(digest(make_id(spec, Target{90, true})));
  KernelId tuned = base;
  tuned.tuning.threads_per_row *= 2;
  digests.push_back(digest(tuned));
  tuned = base;
  tuned.tuning.weight_early = !tuned.tuning.weight_early;
  digests.push_back(digest(tuned));
  tuned = base;
  tuned.tuning.shared_slots += 1;
  digests.push_back(digest(tuned));
  for (size_t i = 0; i < digests.size(); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_NE(digests[i], digests[j]) << i << " " << j;
  }
}

TEST(KernelKey, HoldsExactlyTheDocumentedFields) {
  std::vector<std::string> labels;
  for (const CacheKey::Field& field : make_id(full_spec()).cache_key(13).fields) {
    labels.push_back(field.label);
  }
  EXPECT_EQ(labels, (std::vector<std::string>{"schema", "template", "spec.cuh", "target", "image",
                                              "options", "params"}));
}

TEST(KernelKey, TheSurroundingsDoNotChangeTheDigest) {
  const std::string before = digest(make_id(full_spec()));
  const TempDir elsewhere;
  const std::filesystem::path here = std::filesystem::current_path();
  const Environment home("HOME", "/nonexistent");
  const Environment xdg("XDG_CACHE_HOME", elsewhere.path().c_str());
  const Environment cuda("CUDA_HOME", "/nonexistent");
  const Environment zone("TZ", "Asia/Tokyo");
  const Environment locale("LC_ALL", "de_DE.UTF-8");
  setlocale(LC_ALL, "");
  ASSERT_EQ(chdir(elsewhere.path().c_str()), 0);
  EXPECT_EQ(digest(make_id(full_spec())), before);
  std::filesystem::current_path(here);
  setlocale(LC_ALL, "C");
}

TEST(KernelKey, SurvivesItsText) {
  const CacheKey key = make_id(full_spec()).cache_key(13);
  const Result<CacheKey> read = CacheKey::from_text(key.text());
  ASSERT_TRUE(read.ok()) << read.message();
  EXPECT_EQ(read->fields, key.fields);
}

TEST(KernelKey, RefusesASpecThatTheTargetCannotServe) {
  const Result<KernelId> id = KernelId::make(full_spec(), Target{80, false});
  EXPECT_EQ(id.code(), StatusCode::kUnsupported);
  NormSpec zero;
  EXPECT_EQ(KernelId::make(zero, kSm90).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace rmsjit
