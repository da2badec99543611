// SPDX-License-Identifier: Apache-2.0
// What a launch refuses, without a driver, and in which words.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>

#include "tests/runtime/launch_shapes.h"

namespace rmsjit {
namespace {

struct Bad {
  const char* spec;
  std::function<void(rmsjit_args&)> change;
  const char* message;
};

TEST(LaunchArgs, EachBadArgumentIsNamedWithItsValueAndWhatIsAllowed) {
  const char* kAll =
      "hidden=128,layout=heads,residual=add,residual_placement=out_of_place,residual_dtype=f32";
  const char* kInPlace = "hidden=128,layout=heads,residual=add,y_placement=in_place";
  const Bad cases[] = {
      {kAll, [](auto& a) { a.tokens = -1; }, "tokens=-1 is negative: 0 or more"},
      {kAll, [](auto& a) { a.heads = -2; }, "heads=-2 is negative"},
      {kAll, [](auto& a) { a.eps = -1e-6f; }, "eps=-1e-06 is not allowed: finite and 0 or more"},
      {kAll, [](auto& a) { a.eps = std::nanf(""); }, "eps=nan is not allowed"},
      {kAll, [](auto& a) { a.eps = INFINITY; }, "eps=inf is not allowed"},
      {kAll, [](auto& a) { a.reserved = 7; }, "reserved=7 is not zero"},
      {kAll, [](auto& a) { a.x = nullptr; }, "x is null"},
      {kAll, [](auto& a) { a.weight = nullptr; }, "weight is null"},
      {kAll, [](auto& a) { a.residual = nullptr; }, "residual is null"},
      {kAll, [](auto& a) { a.residual_out = nullptr; }, "residual_out is null"},
      {kAll, [](auto& a) { a.y = nullptr; }, "y is null"},
      {"hidden=8,weight=none", [](auto& a) { a.weight = address(64); },
       "weight is given but the spec has weight=none"},
      {"hidden=8", [](auto& a) { a.residual = address(64); },
       "residual is given but the spec has residual=none"},
      {"hidden=8", [](auto& a) { a.residual_out = address(64); },
       "residual_out is given but the spec has residual=none"},
      {kAll, [](auto& a) { a.x = address(kTebibyte + 1); },
       "x=0x10000000001 is not aligned to its element: a multiple of 2 bytes"},
      {kAll, [](auto& a) { a.residual = address(3 * kTebibyte + 2); },
       "residual=0x30000000002 is not aligned to its element: a multiple of 4 bytes"},
      {kAll, [](auto& a) { a.weight = address(2 * kTebibyte + 1); }, "weight=0x20000000001 is not"},
      {kAll, [](auto& a) { a.y = address(5 * kTebibyte + 1); }, "y=0x50000000001 is not aligned"},
      {kAll, [](auto& a) { a.x_token_stride = 127; },
       "x_token_stride=127 is smaller than a row: at least hidden=128 elements"},
      {kAll, [](auto& a) { a.x_head_stride = 0; }, "x_head_stride=0 is smaller than a row"},
      {kAll, [](auto& a) { a.residual_token_stride = -128; }, "residual_token_stride=-128 is"},
      {kAll, [](auto& a) { a.residual_out_head_stride = 1; }, "residual_out_head_stride=1 is"},
      {kAll, [](auto& a) { a.y_token_stride = 0; }, "y_token_stride=0 is smaller than a row"},
      {kInPlace, [](auto& a) { a.y = address(5 * kTebibyte); },
       "y=0x50000000000 but the spec has it in place of x=0x10000000000"},
      {kInPlace, [](auto& a) { a.y_token_stride = 4096; },
       "y_token_stride=4096 but the spec has it in place of x: 0 or x_token_stride=512"},
      {kInPlace, [](auto& a) { a.residual_out = address(64); }, "residual_out=0x40 but the spec"},
      {kInPlace, [](auto& a) { a.residual_out_head_stride = 129; },
       "residual_out_head_stride=129 but the spec has it in place of residual: 0 or "
       "residual_head_stride=128"},
      {kAll, [](auto& a) { a.x_token_stride = kMax / 2; }, "x with its strides and counts reaches"},
      {kAll, [](auto& a) { a.y_head_stride = kMax; }, "y with its strides and counts reaches"},
      {kAll, [](auto& a) { a.y = address(-256); }, "y with its strides and counts reaches"},
      {kAll, [](auto& a) { a.tokens = kMax; }, "is too many rows: at most"},
      {kAll, [](auto& a) { a.y_token_stride = 384; },
       "y is written and its rows overlap: y_token_stride=384 and y_head_stride=128"},
      {kInPlace, [](auto& a) { a.x_token_stride = 300; }, "x is written and its rows overlap"},
  };
  for (const Bad& bad : cases) {
    const LaunchFacts facts = facts_of(bad.spec);
    rmsjit_args args = args_for(facts, 4, 4);
    bad.change(args);
    const Status status = launch(facts, args);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << bad.message;
    EXPECT_NE(status.message().find(bad.message), std::string::npos)
        << "expected: " << bad.message << "\n   given: " << status.message();
  }
}

TEST(LaunchArgs, HeadsBeyondAGridAreNamed) {
  for (const auto& [spec, most] :
       {std::pair{"hidden=1,layout=heads", int64_t{0x7fffffff}},
        std::pair{"hidden=65536,layout=heads", int64_t{0x7fffffff} / 8}}) {
    const LaunchFacts facts = facts_of(spec);
    for (const auto& [tokens, heads] : {std::pair{int64_t{1}, most + 1}, {2, kMax}, {kMax, kMax}}) {
      rmsjit_args args = args_for(facts, 1, 1);
      args.tokens = tokens;
      args.heads = heads;
      const std::string expected =
          "heads=" + std::to_string(heads) + " is too many: at most " + std::to_string(most);
      const Status status = launch(facts, args);
      EXPECT_NE(status.message().find(expected), std::string::npos) << status.message();
    }
  }
}

// Either of them may be large, whichever it is; a grid has no room for two.
TEST(LaunchArgs, TokensAndHeadsBeyondAGridAreNamedTogether) {
  const LaunchFacts facts = facts_of("hidden=4096,layout=heads");
  const auto say = [&](int64_t tokens, int64_t heads) {
    rmsjit_args args = args_for(facts, tokens, heads);
    args.y = address(int64_t{1} << 50);
    return launch(facts, args).message();
  };
  EXPECT_EQ(say(65537, 70000),
            "tokens=65537 and heads=70000 are too many together: one of them at most 65535");
  EXPECT_EQ(say(65535, 70000), "");
  EXPECT_EQ(say(70000, 65535), "");
}

}  // namespace
}  // namespace rmsjit
