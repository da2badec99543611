// SPDX-License-Identifier: Apache-2.0
// An output may share no byte with another tensor: what is proven apart, what is refused, and the
// proof itself against a byte-by-byte count.
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

#include "runtime/launch_spans.h"
#include "tests/runtime/launch_shapes.h"

namespace rmsjit {
namespace {

constexpr int64_t kBase = int64_t{1} << 40;

void* at(int64_t elements) { return reinterpret_cast<void*>(kBase + 2 * elements); }
void* elsewhere(int n) { return reinterpret_cast<void*>((int64_t{1} << 44) * (n + 1)); }

Status launch(const std::string& text, const rmsjit_args& args) {
  return launch(facts_of(text), args);
}

// x and y are slices of one buffer of bf16 elements; the weight is far away.
rmsjit_args slices(int64_t x, int64_t x_stride, int64_t y, int64_t y_stride, int64_t tokens) {
  rmsjit_args args{};
  args.struct_size = sizeof args;
  args.x = at(x);
  args.y = at(y);
  args.x_token_stride = x_stride;
  args.y_token_stride = y_stride;
  args.weight = elsewhere(0);
  args.tokens = tokens;
  args.heads = 1;
  args.eps = 1e-6f;
  return args;
}

TEST(LaunchOverlap, SlicesOfOneBufferAreLegalWhereverTheyStart) {
  const std::string spec = "hidden=128";
  EXPECT_TRUE(launch(spec, slices(0, 512, 128, 512, 9)).ok());
  EXPECT_TRUE(launch(spec, slices(128, 512, 0, 512, 9)).ok());
  EXPECT_TRUE(launch(spec, slices(384, 512, 0, 512, 9)).ok());
  EXPECT_TRUE(launch(spec, slices(0, 256, 128 + 256 * 3, 256, 9)).ok()) << "a few tokens apart";
  EXPECT_TRUE(launch(spec, slices(128 + 256 * 3, 256, 0, 256, 9)).ok());
  EXPECT_TRUE(launch(spec, slices(0, 128, 128 * 9, 128, 9)).ok()) << "one after the other";
}

TEST(LaunchOverlap, OneSharedElementIsRefused) {
  const std::string spec = "hidden=128";
  for (const rmsjit_args& args :
       {slices(0, 512, 127, 512, 9), slices(127, 512, 0, 512, 9), slices(0, 512, 385, 512, 9),
        slices(0, 128, 128 * 8, 128, 9), slices(0, 512, 128, 511, 9), slices(0, 256, 0, 256, 9)}) {
    const Status status = launch(spec, args);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find("y is written and overlaps x"), std::string::npos)
        << status.message();
  }
}

TEST(LaunchOverlap, TheSamePointerPointsToThePlacementField) {
  const Status y = launch("hidden=128", slices(0, 128, 0, 128, 4));
  EXPECT_NE(y.message().find("y_placement=in_place"), std::string::npos) << y.message();
  rmsjit_args args = slices(0, 128, 4096, 128, 4);
  args.residual = args.residual_out = elsewhere(2);
  args.residual_token_stride = args.residual_out_token_stride = 128;
  const Status residual = launch("hidden=128,residual=add,residual_placement=out_of_place", args);
  EXPECT_NE(residual.message().find("residual_placement=in_place"), std::string::npos)
      << residual.message();
}

TEST(LaunchOverlap, EveryPairWithAnOutputIsChecked) {
  const std::string spec = "hidden=128,residual=add,residual_placement=out_of_place";
  rmsjit_args good = slices(0, 128, 1 << 20, 128, 4);
  good.residual = elsewhere(2);
  good.residual_out = elsewhere(3);
  good.residual_token_stride = good.residual_out_token_stride = 128;
  ASSERT_TRUE(launch(spec, good).ok());
  const auto expect_overlap = [&](const rmsjit_args& args, const char* message) {
    const Status status = launch(spec, args);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << message;
    EXPECT_NE(status.message().find(message), std::string::npos) << status.message();
  };
  rmsjit_args args = good;
  args.weight = args.y;
  expect_overlap(args, "y is written and overlaps weight");
  args = good;
  args.weight = args.residual_out;
  expect_overlap(args, "residual_out is written and overlaps weight");
  args = good;
  args.residual_out = args.y;
  expect_overlap(args, "overlaps");
  args = good;
  args.residual_out = const_cast<void*>(args.x);
  expect_overlap(args, "residual_out is written and overlaps x");
  args = good;
  args.residual = args.y;
  expect_overlap(args, "overlaps");
}

TEST(LaunchOverlap, InputsMayShareEverything) {
  rmsjit_args args = slices(0, 128, 1 << 20, 128, 4);
  args.residual = args.x;
  args.weight = args.x;
  args.residual_out = elsewhere(3);
  args.residual_token_stride = args.residual_out_token_stride = 128;
  const Status status = launch("hidden=128,residual=add,residual_placement=out_of_place", args);
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(LaunchOverlap, AnInputThatIsOverwrittenInPlaceIsAnOutput) {
  rmsjit_args args = slices(0, 128, 0, 128, 4);
  args.y = nullptr;
  args.weight = at(100);
  const Status weight = launch("hidden=128,y_placement=in_place", args);
  EXPECT_NE(weight.message().find("x is written and overlaps weight"), std::string::npos)
      << weight.message();
  args.weight = elsewhere(0);
  args.residual = args.x;
  args.residual_token_stride = 128;
  args.y = elsewhere(4);
  const Status residual = launch("hidden=128,residual=add", args);
  EXPECT_NE(residual.message().find("residual is written and overlaps x"), std::string::npos)
      << residual.message();
}

struct Tensor {
  int64_t offset, token_stride, head_stride;
};

std::set<int64_t> bytes_of(const Tensor& t, int64_t tokens, int64_t heads, int64_t row) {
  std::set<int64_t> bytes;
  for (int64_t token = 0; token < tokens; ++token) {
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t i = 0; i < row; ++i) {
        bytes.insert(t.offset + token * t.token_stride + head * t.head_stride + i);
      }
    }
  }
  return bytes;
}

Span span_of(const Tensor& t, int64_t tokens, int64_t heads, int64_t row) {
  const int64_t token_bytes = (heads - 1) * t.head_stride + row;
  const int64_t bytes = (tokens - 1) * t.token_stride + token_bytes;
  return {"t",
          static_cast<uintptr_t>(kBase + t.offset),
          static_cast<uintptr_t>(kBase + t.offset + bytes),
          tokens > 1 ? t.token_stride : 0,
          heads > 1 ? t.head_stride : 0,
          token_bytes,
          row,
          true};
}

TEST(LaunchOverlap, WhatIsProvenApartSharesNoByteAndOrdinarySlicesAreProven) {
  std::mt19937 random(7);
  const auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  int proven = 0, refused = 0;
  for (int i = 0; i < 20000; ++i) {
    const int64_t tokens = pick(1, 4), heads = pick(1, 3), row = pick(1, 4);
    Tensor a{pick(0, 40), pick(row, 24), pick(row, 8)};
    Tensor b{pick(0, 40), pick(row, 24), pick(row, 8)};
    if (pick(0, 1) == 0) b.token_stride = a.token_stride;
    if (pick(0, 1) == 0) b.head_stride = a.head_stride;
    const bool apart =
        share_no_byte(span_of(a, tokens, heads, row), span_of(b, tokens, heads, row));
    ASSERT_EQ(apart, share_no_byte(span_of(b, tokens, heads, row), span_of(a, tokens, heads, row)));
    std::set<int64_t> both = bytes_of(a, tokens, heads, row);
    const size_t separately = both.size() + bytes_of(b, tokens, heads, row).size();
    both.merge(bytes_of(b, tokens, heads, row));
    if (apart) {
      ASSERT_EQ(both.size(), separately) << i;
    }
    // Rows that repeat with one stride: the proof is exact where no token runs into the next.
    const bool same_rows = heads == 1 && tokens > 1 && a.token_stride == b.token_stride;
    const bool wraps = a.offset % a.token_stride + row > a.token_stride ||
                       b.offset % b.token_stride + row > b.token_stride;
    const bool far = std::abs(a.offset - b.offset) >= a.token_stride;
    if (same_rows && !wraps && !far && both.size() == separately) {
      EXPECT_TRUE(apart) << i;
    }
    (apart ? proven : refused)++;
  }
  EXPECT_GT(proven, 1000);
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace rmsjit
