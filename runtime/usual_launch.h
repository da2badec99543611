// SPDX-License-Identifier: Apache-2.0
// The good path of launch_args.h: proves in straight arithmetic, without a branch for each check,
// that a launch is good and far from every limit. It accepts less than read_tensors and never more;
// what it leaves (slices of one buffer, strides and addresses near a limit, mistakes) is looked at
// there, one check after the other. Both fill the same fields with the same values.
#ifndef RMSJIT_USUAL_LAUNCH_H_
#define RMSJIT_USUAL_LAUNCH_H_

#include "runtime/launch_args.h"
#include "runtime/launch_tensors.h"

namespace rmsjit {

class UsualLaunch {
 public:
  // What 32 bits hold with room for a block's worth more; below, no product or sum reaches 2^63.
  static constexpr int64_t kMostRows = INT32_MAX - 1024;

  // Requires: 0 < tokens * heads <= kMostRows.
  UsualLaunch(const LaunchFacts& facts, const Extent& extent)
      : facts_(facts),
        last_token_(extent.tokens - 1),
        last_head_(extent.heads - 1),
        many_tokens_(-int64_t{extent.tokens != 1}),
        many_heads_(-int64_t{extent.heads != 1}) {}

  // Whether the launch is good; if so `params` has its pointers and strides.
  [[gnu::always_inline]] bool read(const rmsjit_args& args, RmsNormParams& params) {
    const TensorStrides y_given{args.y_token_stride, args.y_head_stride};
    // Strides stay in registers until the end: reading back two halves of what was stored stalls.
    TensorStrides x_stride, y_stride;
    const Range x =
        take(args.x, {args.x_token_stride, args.x_head_stride}, facts_.x_bytes, x_stride);
    Range y = x;
    if (facts_.y_in_place) {
      take_in_place(args.y, y_given, args.x, x_stride);
      y_stride = x_stride;
    } else {
      y = take(args.y, y_given, facts_.y_bytes, y_stride);
      keep_apart(x, y);
    }
    params.x_token_stride = x_stride.token;
    params.x_head_stride = x_stride.head;
    params.y_token_stride = y_stride.token;
    params.y_head_stride = y_stride.head;
    params.y = facts_.y_in_place ? const_cast<void*>(args.x) : args.y;
    const Range weight = take_weight(args.weight);
    keep_apart(y, weight);
    params.x = args.x;
    params.weight = args.weight;
    if (facts_.residual_bytes == 0) {
      read_no_residual(args, params);
    } else {
      read_residual(args, {x, y, weight}, params);
    }
    return refused_ == 0;
  }

  // Every pointer and used stride is a multiple of 16 bytes.
  bool packed() const { return bits_ % 16 == 0; }

 private:
  struct Range {
    uintptr_t begin, end;
  };
  struct Others {
    Range x, y, weight;
  };
  static constexpr int kStrideBits = 28, kAddressBits = 56;

  [[gnu::always_inline]] TensorStrides used(TensorStrides given) const {
    return {given.token & many_tokens_, given.head & many_heads_};
  }

  [[gnu::always_inline]] Range take(const void* pointer, TensorStrides given, int64_t element_bytes,
                                    TensorStrides& strides) {
    // Unsigned: what wraps around is refused by the bits of what is spare.
    const auto begin = reinterpret_cast<uintptr_t>(pointer);
    strides = used(given);
    const auto token = static_cast<uint64_t>(strides.token);
    const auto head = static_cast<uint64_t>(strides.head);
    const auto hidden = static_cast<uint64_t>(facts_.hidden);
    const auto bytes = static_cast<uint64_t>(element_bytes);
    const uint64_t token_extent = static_cast<uint64_t>(last_head_) * head + hidden;
    const uint64_t spare_token = token - (token_extent & static_cast<uint64_t>(many_tokens_));
    const uint64_t spare_head = head - (hidden & static_cast<uint64_t>(many_heads_));
    const uint64_t extent = static_cast<uint64_t>(last_token_) * token + token_extent;
    // Null wraps around to more than the limit, and so does a stride that is too small.
    refused_ |= (begin - 1) >> kAddressBits | (begin & (bytes - 1));
    refused_ |= (spare_token | spare_head) >> kStrideBits;
    bits_ |= begin | (token | head) * bytes;
    return {begin, begin + extent * bytes};
  }

  // An output that lies in place: null or the input's pointer, strides zero or the input's.
  [[gnu::always_inline]] void take_in_place(const void* pointer, TensorStrides given,
                                            const void* input, const TensorStrides& strides) {
    const auto [token, head] = used(given);
    refused_ |= (pointer != nullptr) & (pointer != input);
    refused_ |= ((token != 0) & (token != strides.token)) | ((head != 0) & (head != strides.head));
  }

  [[gnu::always_inline]] Range take_weight(const void* pointer) {
    const auto begin = reinterpret_cast<uintptr_t>(pointer);
    const auto element_bytes = static_cast<uintptr_t>(facts_.weight_bytes);
    if (element_bytes == 0) {
      refused_ |= begin;
      return {0, 0};
    }
    refused_ |= (begin - 1) >> kAddressBits | (begin & (element_bytes - 1));
    bits_ |= begin;
    return {begin, begin + static_cast<uintptr_t>(facts_.hidden) * element_bytes};
  }

  [[gnu::always_inline]] void read_no_residual(const rmsjit_args& args, RmsNormParams& params) {
    refused_ |= (args.residual != nullptr) | (args.residual_out != nullptr);
    params.residual = params.residual_out = nullptr;
    params.residual_token_stride = params.residual_out_token_stride = 0;
    params.residual_head_stride = params.residual_out_head_stride = 0;
  }

  [[gnu::always_inline]] void read_residual(const rmsjit_args& args, const Others& others,
                                            RmsNormParams& params) {
    const TensorStrides out_given{args.residual_out_token_stride, args.residual_out_head_stride};
    TensorStrides in_stride, out_stride;
    const Range in = take(args.residual, {args.residual_token_stride, args.residual_head_stride},
                          facts_.residual_bytes, in_stride);
    Range out = in;
    if (facts_.residual_in_place) {
      take_in_place(args.residual_out, out_given, args.residual, in_stride);
      out_stride = in_stride;
    } else {
      out = take(args.residual_out, out_given, facts_.residual_bytes, out_stride);
      keep_apart(in, out);
      keep_apart(in, others.y);
    }
    params.residual = args.residual;
    params.residual_token_stride = in_stride.token;
    params.residual_head_stride = in_stride.head;
    params.residual_out_token_stride = out_stride.token;
    params.residual_out_head_stride = out_stride.head;
    params.residual_out =
        facts_.residual_in_place ? const_cast<void*>(args.residual) : args.residual_out;
    keep_apart(out, others.x);
    keep_apart(out, others.weight);
    if (!facts_.y_in_place) keep_apart(out, others.y);
  }

  [[gnu::always_inline]] void keep_apart(const Range& a, const Range& b) {
    refused_ |= (a.begin < b.end) & (b.begin < a.end);
  }

  const LaunchFacts& facts_;
  const int64_t last_token_;
  const int64_t last_head_;
  const int64_t many_tokens_;  // all bits, or none where the extent is one
  const int64_t many_heads_;
  uint64_t refused_ = 0;  // any bit: not a usual launch
  uint64_t bits_ = 0;     // of every address and stride in bytes
};

}  // namespace rmsjit

#endif  // RMSJIT_USUAL_LAUNCH_H_
