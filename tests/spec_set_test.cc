// SPDX-License-Identifier: Apache-2.0
#include "tests/spec_set.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "rmsjit/spec_text.h"

namespace rmsjit {
namespace {

class SpecSet : public testing::TestWithParam<int> {};

TEST_P(SpecSet, CoversEveryPairWithFewSpecs) {
  const Target target{GetParam(), false};
  std::vector<NormSpec> specs = covering_specs(target);
  EXPECT_LE(specs.size(), 160u);
  const PairCount all = count_pairs(specs, target);
  EXPECT_GT(all.feasible, 1000);
  EXPECT_EQ(all.missing, 0);
  specs.erase(specs.begin(), specs.begin() + 10);
  EXPECT_GT(count_pairs(specs, target).missing, 0);
}

TEST_P(SpecSet, HoldsOnlyCanonicalSpecsOfTheTarget) {
  const Target target{GetParam(), false};
  for (const NormSpec& spec : covering_specs(target)) {
    const Result<NormSpec> resolved = resolve(spec, target);
    ASSERT_TRUE(resolved.ok()) << resolved.message();
    EXPECT_EQ(*resolved, spec) << spec_text(spec);
  }
}

TEST_P(SpecSet, IsTheSameEachTime) {
  const Target target{GetParam(), false};
  EXPECT_EQ(covering_specs(target), covering_specs(target));
}

INSTANTIATE_TEST_SUITE_P(Targets, SpecSet, testing::Values(80, 90));

TEST(SpecSetHidden, HoldsEverySize) {
  const std::vector<NormSpec> specs = covering_specs(Target{90, false});
  const auto has = [&](int64_t hidden) {
    return std::any_of(specs.begin(), specs.end(),
                       [&](const NormSpec& spec) { return spec.hidden == hidden; });
  };
  for (int64_t hidden : kCoveredHidden) EXPECT_TRUE(has(hidden)) << hidden;
  for (int64_t hidden : kLongHidden) EXPECT_TRUE(has(hidden)) << hidden;
}

}  // namespace
}  // namespace rmsjit
