// SPDX-License-Identifier: Apache-2.0
// Launches for tests without a driver: addresses are only numbers here.
#ifndef RMSJIT_TESTS_RUNTIME_LAUNCH_SHAPES_H_
#define RMSJIT_TESTS_RUNTIME_LAUNCH_SHAPES_H_

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <limits>
#include <string>

#include "rmsjit/spec_text.h"
#include "runtime/launch_args.h"
#include "runtime/launch_plan.h"
#include "runtime/launch_tensors.h"
#include "runtime/usual_launch.h"

namespace rmsjit {

inline constexpr int64_t kTebibyte = int64_t{1} << 40;
inline constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

inline void* address(int64_t value) { return reinterpret_cast<void*>(value); }

inline LaunchFacts facts_of(const std::string& text, int multiprocessors = 132) {
  const Target target{90, false};
  const NormSpec spec = *resolve(*parse_spec(text), target);
  return LaunchFacts(spec, launch_plan(spec, target), target, multiprocessors);
}

// With the plan's first schedule alone: all packed rows take one entry.
inline LaunchFacts first_schedule_of(const std::string& text) {
  const LaunchFacts facts = facts_of(text);
  Tuning tuning = facts.tuning;
  tuning.few = tuning.many = {};
  const Target target{90, false};
  return LaunchFacts(*resolve(*parse_spec(text), target), tuning, target, facts.multiprocessors);
}

// Every tensor that the spec has, a TiB apart, dense.
inline rmsjit_args args_for(const LaunchFacts& facts, int64_t tokens, int64_t heads = 1) {
  rmsjit_args args{};
  args.struct_size = sizeof args;
  args.tokens = tokens;
  args.heads = heads;
  args.eps = 1e-6f;
  const int64_t head = facts.hidden, token = facts.hidden * (facts.has_heads ? heads : 1);
  args.x = address(kTebibyte);
  args.x_token_stride = args.residual_token_stride = token;
  args.x_head_stride = args.residual_head_stride = head;
  if (facts.weight_bytes != 0) args.weight = address(2 * kTebibyte);
  if (facts.residual_bytes == 0) args.residual_token_stride = args.residual_head_stride = 0;
  if (facts.residual_bytes != 0) args.residual = address(3 * kTebibyte);
  if (facts.residual_bytes != 0 && !facts.residual_in_place) {
    args.residual_out = address(4 * kTebibyte);
    args.residual_out_token_stride = token;
    args.residual_out_head_stride = head;
  }
  if (!facts.y_in_place) {
    args.y = address(5 * kTebibyte);
    args.y_token_stride = token;
    args.y_head_stride = head;
  }
  return args;
}

inline constexpr const char* kShapes[] = {
    "hidden=4096",
    "hidden=4096,residual=add",
    "hidden=4096,residual=add,residual_placement=out_of_place,y=f32",
    "hidden=4096,y_placement=in_place,weight=none",
    "hidden=128,layout=heads",
    "hidden=127,layout=heads,x=f32,residual=add,y_placement=in_place",
};

inline bool is_same_block(const LaunchBlock& one, const LaunchBlock& other) {
  // The block has no padding.
  return std::memcmp(&one.params, &other.params, sizeof one.params) == 0 &&
         one.grid.x == other.grid.x && one.grid.y == other.grid.y &&
         one.grid.rows == other.grid.rows && one.entry == other.entry;
}

inline int64_t whole(unsigned lower, unsigned upper) {
  return static_cast<int64_t>((uint64_t{upper} << 32) | lower);
}
inline int64_t tokens_of(const RmsNormParams& p) { return whole(p.tokens, p.upper.tokens); }

// In bytes: x, y, residual, residual_out.
inline std::array<TensorStrides, 4> strides_of(const RmsNormParams& p) {
  const auto& up = p.upper;
  return {{{whole(p.x_token_stride, up.x_token_stride), whole(p.x_head_stride, up.x_head_stride)},
           {whole(p.y_token_stride, up.y_token_stride), whole(p.y_head_stride, up.y_head_stride)},
           {whole(p.residual_token_stride, up.residual_token_stride),
            whole(p.residual_head_stride, up.residual_head_stride)},
           {whole(p.residual_out_token_stride, up.residual_out_token_stride),
            whole(p.residual_out_head_stride, up.residual_out_head_stride)}}};
}

template <bool kHeads, bool kResidual>
bool make_usual_as(const LaunchFacts& facts, const rmsjit_args& args, LaunchBlock& block) {
  return make_usual<kHeads, kResidual>(facts, args, block.params, block.grid, block.entry);
}

inline bool make_usual_block(const LaunchFacts& facts, const rmsjit_args& args,
                             LaunchBlock& block) {
  const bool residual = facts.residual_bytes != 0;
  const auto make = facts.has_heads
                        ? residual ? make_usual_as<true, true> : make_usual_as<true, false>
                    : residual ? make_usual_as<false, true>
                               : make_usual_as<false, false>;
  return make(facts, args, block);
}

// make_launch_block; the quick check may take the same launch, and makes the same block of it then.
inline Status make_block(const LaunchFacts& facts, const rmsjit_args& args, LaunchBlock& block) {
  const Status status = make_launch_block(facts, args, block);
  LaunchBlock quick;
  if (make_usual_block(facts, args, quick)) {
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(is_same_block(quick, block));
  }
  return status;
}

inline Status launch(const LaunchFacts& facts, const rmsjit_args& args) {
  LaunchBlock block;
  return make_block(facts, args, block);
}

}  // namespace rmsjit

#endif  // RMSJIT_TESTS_RUNTIME_LAUNCH_SHAPES_H_
