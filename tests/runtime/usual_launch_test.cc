// SPDX-License-Identifier: Apache-2.0
// The quick check of a launch against the careful one, over launches disturbed at random.
#include "runtime/usual_launch.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <random>
#include <vector>

#include "runtime/launch_tensors.h"
#include "tests/runtime/launch_shapes.h"

namespace rmsjit {
namespace {

// Made once: a plan is not free.
const LaunchFacts& facts_of_shape(size_t index) {
  static const auto all = [] {
    std::vector<LaunchFacts> out;
    for (const char* text : kShapes) out.push_back(facts_of(text));
    return out;
  }();
  return all[index];
}

// One field of `args` becomes another one's value, a neighbour of what it was, or a limit.
void disturb(rmsjit_args& args, std::mt19937_64& random) {
  constexpr size_t kFirst = offsetof(rmsjit_args, x);
  constexpr size_t kWords = (offsetof(rmsjit_args, eps) - kFirst) / 8;
  std::array<int64_t, kWords> words;
  char* const fields = reinterpret_cast<char*>(&args) + kFirst;
  std::memcpy(words.data(), fields, sizeof words);
  int64_t& word = words[random() % kWords];
  const int64_t elsewhere = words[random() % kWords];
  const int64_t was = word & kMax >> 2;  // what is done to it does not overflow
  const int64_t values[] = {0,       1,         -1,
                            was + 1, was - 1,   was + 2,
                            was * 2, was / 2,   was + 8,
                            1 << 28, kTebibyte, int64_t{1} << 56,
                            kMax,    elsewhere, (elsewhere & kMax) / 2 + 128};
  word = values[random() % std::size(values)];
  std::memcpy(fields, words.data(), sizeof words);
}

bool same_params(const RmsNormParams& a, const RmsNormParams& b) {
  return a.x == b.x && a.weight == b.weight && a.residual == b.residual &&
         a.residual_out == b.residual_out && a.y == b.y && a.x_token_stride == b.x_token_stride &&
         a.x_head_stride == b.x_head_stride && a.y_token_stride == b.y_token_stride &&
         a.y_head_stride == b.y_head_stride && a.residual_token_stride == b.residual_token_stride &&
         a.residual_head_stride == b.residual_head_stride &&
         a.residual_out_token_stride == b.residual_out_token_stride &&
         a.residual_out_head_stride == b.residual_out_head_stride;
}

TEST(UsualLaunch, WhatItTakesTheCarefulCheckTakesTooAndFillsTheSame) {
  std::mt19937_64 random(1);
  int taken = 0, left = 0;
  for (int round = 0; round < 400000; ++round) {
    const LaunchFacts& facts = facts_of_shape(random() % std::size(kShapes));
    rmsjit_args args = args_for(facts, 1 + static_cast<int64_t>(random() % 3), 1 + round % 3);
    for (uint64_t i = random() % 3; i > 0; --i) disturb(args, random);
    const Extent extent{args.tokens, facts.has_heads ? args.heads : 1};
    int64_t rows = 0;
    if (extent.tokens <= 0 || extent.heads <= 0 ||
        __builtin_mul_overflow(extent.tokens, extent.heads, &rows) ||
        rows > UsualLaunch::kMostRows) {
      continue;
    }
    RmsNormParams quick{}, careful{};
    UsualLaunch usual(facts, extent);
    if (!usual.read(args, quick)) {
      ++left;
      continue;
    }
    ++taken;
    Spans spans;
    Status error;
    ASSERT_TRUE(read_tensors(facts, extent, args, spans, careful, error)) << error.message();
    ASSERT_TRUE(same_params(quick, careful));
    uintptr_t bits = 0;
    for (int i = 0; i < spans.count; ++i) {
      const Span& span = spans.list[i];
      bits |= span.begin | static_cast<uintptr_t>(span.token_stride | span.head_stride);
    }
    ASSERT_EQ(usual.packed(), bits % 16 == 0);
  }
  EXPECT_GT(taken, 100000);
  EXPECT_GT(left, 50000);
}

TEST(UsualLaunch, TakesTheLaunchesOfModels) {
  for (size_t i = 0; i < std::size(kShapes); ++i) {
    const LaunchFacts& facts = facts_of_shape(i);
    for (const int64_t tokens : {1, 2, 16384}) {
      rmsjit_args args = args_for(facts, tokens, 8);
      RmsNormParams params{};
      EXPECT_TRUE(UsualLaunch(facts, {tokens, facts.has_heads ? 8 : 1}).read(args, params))
          << kShapes[i] << " tokens " << tokens;
    }
  }
}

}  // namespace
}  // namespace rmsjit
