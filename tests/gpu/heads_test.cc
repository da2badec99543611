// SPDX-License-Identifier: Apache-2.0
// Rows of heads on the device: the kernel finds its row from a grid of two dimensions, with heads
// side by side in a block, and with tokens and heads exchanged where there are too many tokens.
#include <gtest/gtest.h>

#include "runtime/launch_args.h"
#include "runtime/launch_plan.h"
#include "runtime/usual_launch.h"
#include "tests/gpu/gpu_fixture.h"

namespace rmsjit::gpu {
namespace {

class Heads : public OnDevice {
 protected:
  void prepare(const char* text) {
    spec = spec_of(text);
    kernel = runtime->prepare(spec);
    const Target target{cuda->sm()};
    facts = LaunchFacts(spec, launch_plan(spec, target), target,
                        cuda->attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
  }

  // Launches with every check of gpu_case.h; what the kernel was told.
  LaunchBlock expect_right(const emulate::RowPool& pool, const GpuCase& c) {
    LaunchBlock block;
    const Launcher launch = [&](const rmsjit_args& args, CUstream on) {
      EXPECT_TRUE(make_launch_block(facts, args, block).ok());
      return launcher_of(kernel)(args, on);
    };
    EXPECT_EQ(run_gpu_case(*cuda, *stream, spec, pool, c, launch).problem, "");
    return block;
  }

  NormSpec spec;
  LaunchFacts facts;
  const rmsjit_kernel* kernel = nullptr;
};

TEST_F(Heads, AnEvenCountSharesBlocksAndAnOddOneDoesNot) {
  for (const char* text :
       {"hidden=128,layout=heads", "hidden=128,layout=heads,residual=add,root=exact",
        "hidden=72,layout=heads,x=f32,root=exact", "hidden=33,layout=heads,root=exact"}) {
    prepare(text);
    ASSERT_NE(kernel, nullptr);
    const emulate::RowPool pool(spec, 5);
    for (const int64_t heads : {1, 3, 6, 8, 64, 65}) {
      for (const int64_t tokens : {1, 5, 300}) {
        for (const int64_t pad : {8, 3}) {
          SCOPED_TRACE(testing::Message() << text << ": " << tokens << " x " << heads);
          GpuCase c;
          c.tokens = tokens;
          c.heads = heads;
          c.x.token_pad = c.x.head_pad = c.residual.head_pad = c.y.token_pad = pad;
          const LaunchBlock block = expect_right(pool, c);
          const bool shared = schedule_of(facts.tuning, block.entry).max_rows_per_block > 1;
          EXPECT_EQ(block.params.heads.shift != 0, shared && heads % 2 == 0);
          if (HasFailure()) return;
        }
      }
    }
  }
}

// As many heads as a block has rows: a block has one token.
TEST_F(Heads, MoreTokensThanAGridHasBlocksAreRight) {
  if (short_run()) GTEST_SKIP() << "half a million rows take a sanitizer minutes";
  for (const auto& [text, tokens] :
       {std::pair{"hidden=128,layout=heads", int64_t{65537}},
        std::pair{"hidden=128,layout=heads,residual=add,root=exact", int64_t{65544}},
        std::pair{"hidden=512,layout=heads,pdl=auto", int64_t{65537}}}) {
    SCOPED_TRACE(text);
    prepare(text);
    ASSERT_NE(kernel, nullptr);
    const emulate::RowPool pool(spec, 5);
    GpuCase c;
    c.tokens = tokens;
    const KernelEntry entry =
        choose_entry(facts, tokens * facts.tuning.max_rows_per_block, /*packed=*/true);
    const Schedule& schedule = schedule_of(facts.tuning, entry);
    c.heads = schedule.max_rows_per_block;
    const LaunchBlock block = expect_right(pool, c);
    EXPECT_EQ(static_cast<int64_t>(block.params.tokens), c.heads) << "or it was not exchanged";
  }
}

}  // namespace
}  // namespace rmsjit::gpu
