// SPDX-License-Identifier: Apache-2.0
// The pairwise covering set, which the emulator runs, compiled for every target: it compiles, needs
// no local memory and fits its largest block.
#include <gtest/gtest.h>

#include "tests/nvrtc/nvrtc_fixture.h"
#include "tests/spec_set.h"

namespace rmsjit {
namespace {

class Covering : public NvrtcTest, public ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Targets, Covering, ::testing::ValuesIn(kTargets),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(Covering, EverySpecCompilesWithoutLocalMemory) {
  const auto target = parse_target(GetParam());
  ASSERT_TRUE(target.ok());
  if (!knows(*target)) GTEST_SKIP() << "this NVRTC does not know " << GetParam();
  std::vector<KernelId> ids;
  for (const NormSpec& spec : covering_specs(*target)) {
    const auto id = KernelId::make(spec, *target);
    ASSERT_TRUE(id.ok()) << id.message();
    ids.push_back(*id);
  }
  compile_each(ids, expect_shippable);
}

}  // namespace
}  // namespace rmsjit
