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
  constexpr size_t kWords = (sizeof(rmsjit_args) - kFirst) / 8;  // the last: eps and reserved
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

TEST(UsualLaunch, WhatItTakesTheCarefulCheckTakesTooAndFillsTheSame) {
  std::mt19937_64 random(1);
  int taken = 0, left = 0;
  for (int round = 0; round < 400000; ++round) {
    const LaunchFacts& facts = facts_of_shape(random() % std::size(kShapes));
    rmsjit_args args = args_for(facts, 1 + static_cast<int64_t>(random() % 3), 1 + round % 3);
    for (uint64_t i = random() % 3; i > 0; --i) disturb(args, random);
    LaunchBlock quick, careful;
    if (!make_usual_block(facts, args, quick)) {
      ++left;
      continue;
    }
    ++taken;
    const Status status = make_launch_block(facts, args, careful);
    ASSERT_TRUE(status.ok()) << status.message();
    ASSERT_TRUE(is_same_block(quick, careful));
  }
  EXPECT_GT(taken, 100000);
  EXPECT_GT(left, 50000);
}

TEST(UsualLaunch, TakesTheLaunchesOfModels) {
  for (size_t i = 0; i < std::size(kShapes); ++i) {
    const LaunchFacts& facts = facts_of_shape(i);
    for (const int64_t tokens : {1, 2, 16384}) {
      rmsjit_args args = args_for(facts, tokens, 8);
      LaunchBlock block;
      EXPECT_TRUE(make_usual_block(facts, args, block)) << kShapes[i] << " tokens " << tokens;
    }
  }
}

TEST(UsualLaunch, TakesEveryEpsThatIsAllowedAndNoOther) {
  const LaunchFacts facts = facts_of("hidden=4096");
  rmsjit_args args = args_for(facts, 1);
  const auto takes = [&](float eps) {
    args.eps = eps;
    LaunchBlock block;
    return make_usual_block(facts, args, block);
  };
  using Float = std::numeric_limits<float>;
  for (const float eps : {0.0f, Float::denorm_min(), 1e-6f, 1.0f, Float::max()}) {
    EXPECT_TRUE(takes(eps)) << eps;
  }
  for (const float eps : {Float::infinity(), Float::quiet_NaN(), -Float::quiet_NaN(), -1e-6f}) {
    EXPECT_FALSE(takes(eps)) << eps;
  }
  args.reserved = 1;
  EXPECT_FALSE(takes(1e-6f));
}

}  // namespace
}  // namespace rmsjit
