// SPDX-License-Identifier: Apache-2.0
// The good path of launch_args.h: proves that a launch is good and far from every limit. It accepts
// less than read_tensors and never more; what it leaves (slices of one buffer, strides and
// addresses near a limit, mistakes) is looked at there, one check after the other. Both fill the
// same fields with the same values. Between two launches the driver sweeps the first-level caches,
// so what counts here is bytes of code: the branches are those that are never taken.
#ifndef RMSJIT_USUAL_LAUNCH_H_
#define RMSJIT_USUAL_LAUNCH_H_

#include <bit>
#include <cstring>

#include "runtime/launch_args.h"
#include "runtime/launch_tensors.h"

namespace rmsjit {

// kHeads: facts.has_heads (without, the extent has one head); kResidual: facts.residual_bytes != 0.
template <bool kHeads, bool kResidual>
class UsualLaunch {
 public:
  // What 32 bits hold with room for a block's worth more; below, no product or sum reaches 2^63,
  // and a stride in bytes, of less than 2^28 elements and a row, has 32 bits.
  static constexpr int64_t kMostRows = INT32_MAX - 1024;

  // Requires: 0 < tokens * heads <= kMostRows.
  UsualLaunch(const LaunchFacts& facts, const Extent& extent)
      : facts_(facts),
        last_token_(static_cast<uint64_t>(extent.tokens - 1)),
        last_head_(static_cast<uint64_t>(extent.heads - 1)),
        many_tokens_(-int64_t{extent.tokens != 1}),
        many_heads_(-int64_t{extent.heads != 1}) {}

  // Whether the tensors are good; if so `params` has their pointers and strides.
  [[gnu::always_inline]] bool read(const rmsjit_args& args, RmsNormParams& params) {
    return read_tensors(args, params) && (bits_ & facts_.misaligned) == 0;
  }

  // Every pointer and used stride is a multiple of 16 bytes.
  bool packed() const { return bits_ % 16 == 0; }

 private:
  struct Range {
    uint64_t begin, end;
  };
  struct Tensor {
    TensorStrides stride;
    unsigned element_bytes;
    Range range;
  };
  static constexpr int kStrideBits = 28, kAddressBits = 56;

  [[gnu::always_inline]] bool read_tensors(const rmsjit_args& args, RmsNormParams& params) {
    Tensor x, y;
    Range weight{0, 0};
    if (!take(args.x, {args.x_token_stride, args.x_head_stride}, facts_.x_bytes, x)) return false;
    const TensorStrides y_given{args.y_token_stride, args.y_head_stride};
    params.x = args.x;
    params.upper = {};
    put(x, params.x_token_stride, params.x_head_stride);
    if (facts_.y_in_place) [[unlikely]] {
      if (!is_in_place(args.y, y_given, x)) return false;
      y = x;
    } else if (!take(args.y, y_given, facts_.y_bytes, y) || meet(x.range, y.range)) {
      return false;
    }
    params.y = reinterpret_cast<void*>(y.range.begin);
    put(y, params.y_token_stride, params.y_head_stride);
    params.weight = args.weight;
    if (facts_.weight_bytes == 0) [[unlikely]] {
      if (args.weight != nullptr) return false;
    } else if (!take_range(args.weight, row_bytes(facts_.weight_bytes), weight) ||
               meet(y.range, weight)) {
      return false;
    }
    if constexpr (kResidual) return read_residual(args, x.range, y.range, weight, params);
    params.residual = params.residual_out = nullptr;
    params.residual_token_stride = params.residual_out_token_stride = 0;
    params.residual_head_stride = params.residual_out_head_stride = 0;
    return args.residual == nullptr && args.residual_out == nullptr;
  }

  uint64_t row_bytes(int32_t element_bytes) const {
    return static_cast<uint64_t>(facts_.hidden * element_bytes);
  }

  [[gnu::always_inline]] TensorStrides used(TensorStrides given) const {
    return {given.token & many_tokens_, kHeads ? given.head & many_heads_ : 0};
  }

  // take has proved that 32 bits hold them.
  static void put(const Tensor& tensor, unsigned& token, unsigned& head) {
    token = static_cast<unsigned>(tensor.stride.token) * tensor.element_bytes;
    head = static_cast<unsigned>(tensor.stride.head) * tensor.element_bytes;
  }

  [[gnu::always_inline]] bool take(const void* pointer, TensorStrides given, int32_t element_bytes,
                                   Tensor& tensor) {
    tensor.stride = used(given);
    tensor.element_bytes = static_cast<unsigned>(element_bytes);
    // Unsigned: what wraps around leaves bits in what is spare.
    const auto token = static_cast<uint64_t>(tensor.stride.token);
    const auto head = static_cast<uint64_t>(tensor.stride.head);
    const auto hidden = static_cast<uint64_t>(facts_.hidden);
    const auto bytes = static_cast<uint64_t>(element_bytes);
    const uint64_t token_extent = kHeads ? last_head_ * head + hidden : hidden;
    uint64_t spare = token - (token_extent & static_cast<uint64_t>(many_tokens_));
    if (kHeads) spare |= token | (head - (hidden & static_cast<uint64_t>(many_heads_)));
    bits_ |= (token | head) * bytes;
    return spare >> kStrideBits == 0 &&
           take_range(pointer, (last_token_ * token + token_extent) * bytes, tensor.range);
  }

  [[gnu::always_inline]] bool take_range(const void* pointer, uint64_t bytes, Range& range) {
    const auto begin = reinterpret_cast<uintptr_t>(pointer);
    range = {begin, begin + bytes};
    bits_ |= begin;
    return (begin - 1) >> kAddressBits == 0;  // null wraps around
  }

  // Null without strides, or the input once more.
  [[gnu::always_inline]] bool is_in_place(const void* pointer, TensorStrides given,
                                          const Tensor& input) const {
    const auto address = reinterpret_cast<uintptr_t>(pointer);
    const auto [token, head] = used(given);
    return (address | static_cast<uint64_t>(token | head)) == 0 ||
           ((address ^ input.range.begin) |
            static_cast<uint64_t>((token ^ input.stride.token) | (head ^ input.stride.head))) == 0;
  }

  [[gnu::always_inline]] bool read_residual(const rmsjit_args& args, const Range& x, const Range& y,
                                            const Range& weight, RmsNormParams& params) {
    const TensorStrides out_given{args.residual_out_token_stride, args.residual_out_head_stride};
    Tensor in, out;
    if (!take(args.residual, {args.residual_token_stride, args.residual_head_stride},
              facts_.residual_bytes, in)) {
      return false;
    }
    params.residual = args.residual;
    put(in, params.residual_token_stride, params.residual_head_stride);
    if (facts_.residual_in_place) [[likely]] {
      if (!is_in_place(args.residual_out, out_given, in)) return false;
      out = in;
    } else if (!take(args.residual_out, out_given, facts_.residual_bytes, out) ||
               meet(in.range, out.range) || meet(in.range, y)) {
      return false;
    }
    params.residual_out = reinterpret_cast<void*>(out.range.begin);
    put(out, params.residual_out_token_stride, params.residual_out_head_stride);
    return !meet(out.range, x) && !meet(out.range, weight) && !meet(out.range, y);
  }

  // Each begins before the other ends: both differences are negative.
  [[gnu::always_inline]] static bool meet(const Range& a, const Range& b) {
    return static_cast<int64_t>((a.begin - b.end) & (b.begin - a.end)) < 0;
  }

  const LaunchFacts& facts_;
  const uint64_t last_token_;
  const uint64_t last_head_;
  const int64_t many_tokens_;  // all bits, or none where the extent is one
  const int64_t many_heads_;
  uint64_t bits_ = 0;  // of every address and stride in bytes
};

// packed: every pointer and used stride is a multiple of 16 bytes, and the counts and strides in
// bytes are within the limits of the packed entries.
inline KernelEntry choose_entry(const LaunchFacts& facts, int64_t rows, bool packed) {
  if (packed == facts.extras_are_packed) {
    if (facts.few_rows.take(rows)) return KernelEntry::kFew;
    if (facts.many_rows.take(rows)) return KernelEntry::kMany;
  }
  return packed ? KernelEntry::kPacked : KernelEntry::kAny;
}

// Whether eps is finite and not negative and `reserved`, which lies behind it, zero.
inline bool is_usual_eps(const rmsjit_args& args) {
  static_assert(std::endian::native == std::endian::little);
  uint64_t both;
  std::memcpy(&both, &args.eps, sizeof both);
  return both <= 0x7f7fffff;  // FLT_MAX
}

// Whether it could fill the rest; if not, make_launch_block looks carefully.
template <bool kHeads, bool kResidual>
[[gnu::always_inline]] inline bool make_usual(const LaunchFacts& facts, const rmsjit_args& args,
                                              RmsNormParams& params, LaunchGrid& grid,
                                              KernelEntry& entry) {
  using Usual = UsualLaunch<kHeads, kResidual>;
  const Extent extent{args.tokens, kHeads ? args.heads : 1};
  int64_t rows = extent.tokens;
  if (extent.tokens <= 0 || extent.heads <= 0 ||
      (kHeads && __builtin_mul_overflow(extent.tokens, extent.heads, &rows)) ||
      rows > Usual::kMostRows || !is_usual_eps(args)) [[unlikely]] {
    return false;
  }
  Usual usual(facts, extent);
  if (!usual.read(args, params)) [[unlikely]]
    return false;
  params.eps = args.eps;
  entry = choose_entry(facts, rows, usual.packed());
  const Schedule& schedule = schedule_of(facts.tuning, entry);
  const int per_block = rows_per_block(schedule, kHeads, rows, facts.multiprocessors);
  grid = launch_grid(schedule.cluster, kHeads, extent.tokens, extent.heads, per_block);
  params.tokens = static_cast<unsigned>(extent.tokens);
  if constexpr (kHeads) {
    put_heads(grid, params);
  } else {
    params.input_policy = facts.input_policy(rows);
  }
  return grid.fits;
}

}  // namespace rmsjit

#endif  // RMSJIT_USUAL_LAUNCH_H_
