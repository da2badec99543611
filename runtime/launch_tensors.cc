// SPDX-License-Identifier: Apache-2.0
// On the good path this is arithmetic and predicted branches: a function here returns whether to go
// on, and only a bad argument makes a Status.
#include "runtime/launch_tensors.h"

#include "runtime/launch_errors.h"

namespace rmsjit {
namespace {

// One tensor of rmsjit_args.
struct Given {
  const char* name;
  const void* pointer;
  int64_t token_stride;
  int64_t head_stride;
};

// An input and the output that may lie in place of it.
struct Pair {
  Given input;
  Given output;
  int32_t input_bytes;
  int32_t output_bytes;
  bool in_place;
};

inline TensorStrides used_strides(const Extent& extent, const Given& given) {
  return {extent.tokens > 1 ? given.token_stride : 0, extent.heads > 1 ? given.head_stride : 0};
}

// Unsigned: strides that do not fit are refused after this.
inline uint64_t in_bytes(int64_t stride, int32_t element_bytes) {
  return static_cast<uint64_t>(stride) * static_cast<uint64_t>(element_bytes);
}

inline bool add_and_scale(int64_t steps, int64_t stride, int64_t scale, int64_t& total) {
  int64_t reach;
  bool large = __builtin_mul_overflow(steps, stride, &reach);
  large |= __builtin_mul_overflow(reach, scale, &reach);
  large |= __builtin_add_overflow(total, reach, &total);
  return large;
}

class Reader {
 public:
  Reader(const LaunchFacts& facts, const Extent& extent, Spans& spans, Status& error)
      : facts_(facts), extent_(extent), spans_(spans), error_(error) {}

  [[gnu::always_inline]] bool read(const rmsjit_args& args, RmsNormParams& params) {
    return read_x_and_y(args, params) && read_weight(args, params) && read_residuals(args, params);
  }

 private:
  [[gnu::cold, gnu::noinline]] bool refuse(Status error) {
    error_ = std::move(error);
    return false;
  }

  // Checks one tensor by itself and works out the bytes it covers and the strides that count.
  [[gnu::always_inline]] bool read_tensor(const Extent& extent, const Given& given,
                                          int32_t element_bytes, Access access) {
    Span& span = spans_.list[spans_.count++];
    const auto address = reinterpret_cast<uintptr_t>(given.pointer);
    const int64_t hidden = facts_.hidden;
    if (address == 0) [[unlikely]]
      return refuse(errors::pointer_null(given.name));
    if ((address & static_cast<uintptr_t>(element_bytes - 1)) != 0) [[unlikely]] {
      return refuse(errors::pointer_misaligned(given.name, address, element_bytes));
    }
    // Frameworks put anything into the stride of an extent of one.
    const auto [token, head] = used_strides(extent, given);
    if (extent.tokens > 1 && token < hidden) [[unlikely]] {
      return refuse(errors::stride_too_small(given.name, "token", token, hidden));
    }
    if (extent.heads > 1 && head < hidden) [[unlikely]] {
      return refuse(errors::stride_too_small(given.name, "head", head, hidden));
    }
    const int64_t row_bytes = hidden * element_bytes;
    int64_t token_bytes = row_bytes;
    bool large = add_and_scale(extent.heads - 1, head, element_bytes, token_bytes);
    int64_t bytes = token_bytes;
    large |= add_and_scale(extent.tokens - 1, token, element_bytes, bytes);
    large |= __builtin_add_overflow(address, static_cast<uintptr_t>(bytes), &span.end);
    if (large) [[unlikely]]
      return refuse(errors::extent_too_large(given.name));
    span.tensor = given.name;
    span.begin = address;
    span.token_stride = token * element_bytes;
    span.head_stride = head * element_bytes;
    span.token_bytes = token_bytes;
    span.row_bytes = row_bytes;
    span.written = access == Access::kWritten;
    // Of a written tensor, the heads of a token or the tokens of a head lie within one stride.
    if (span.written && token != 0 && head != 0 && token_bytes > span.token_stride &&
        bytes - token_bytes + row_bytes > span.head_stride) [[unlikely]] {
      return refuse(errors::overlaps_itself(given.name, token, head));
    }
    return true;
  }

  // The output is the input's buffer: null or the same pointer, strides zero or the same.
  bool check_in_place(const Given& output, const Given& input) {
    if (output.pointer != nullptr && output.pointer != input.pointer) [[unlikely]] {
      return refuse(errors::not_in_place(output.name, output.pointer, input.name, input.pointer));
    }
    const auto [token, head] = used_strides(extent_, output);
    if (token != 0 && token != input.token_stride) [[unlikely]] {
      return refuse(
          errors::stride_not_in_place(output.name, "token", token, input.name, input.token_stride));
    }
    if (head != 0 && head != input.head_stride) [[unlikely]] {
      return refuse(
          errors::stride_not_in_place(output.name, "head", head, input.name, input.head_stride));
    }
    return true;
  }

  [[gnu::always_inline]] bool read_pair(const Pair& pair) {
    if (pair.in_place) {
      return read_tensor(extent_, pair.input, pair.input_bytes, Access::kWritten) &&
             check_in_place(pair.output, pair.input);
    }
    return read_tensor(extent_, pair.input, pair.input_bytes, Access::kRead) &&
           read_tensor(extent_, pair.output, pair.output_bytes, Access::kWritten);
  }

  [[gnu::always_inline]] bool read_x_and_y(const rmsjit_args& args, RmsNormParams& params) {
    const Pair pair{{"x", args.x, args.x_token_stride, args.x_head_stride},
                    {"y", args.y, args.y_token_stride, args.y_head_stride},
                    facts_.x_bytes,
                    facts_.y_bytes,
                    facts_.y_in_place};
    params.x = args.x;
    params.y = facts_.y_in_place ? const_cast<void*>(args.x) : args.y;
    const TensorStrides in = used_strides(extent_, pair.input);
    const TensorStrides out = facts_.y_in_place ? in : used_strides(extent_, pair.output);
    auto& upper = params.upper;
    put_halves(in_bytes(in.token, facts_.x_bytes), params.x_token_stride, upper.x_token_stride);
    put_halves(in_bytes(in.head, facts_.x_bytes), params.x_head_stride, upper.x_head_stride);
    put_halves(in_bytes(out.token, facts_.y_bytes), params.y_token_stride, upper.y_token_stride);
    put_halves(in_bytes(out.head, facts_.y_bytes), params.y_head_stride, upper.y_head_stride);
    return read_pair(pair);
  }

  [[gnu::always_inline]] bool read_weight(const rmsjit_args& args, RmsNormParams& params) {
    params.weight = args.weight;
    if (facts_.weight_bytes != 0) {
      return read_tensor({1, 1}, {"weight", args.weight, 0, 0}, facts_.weight_bytes, Access::kRead);
    }
    if (args.weight == nullptr) [[likely]]
      return true;
    return refuse(errors::pointer_not_null("weight", "weight=none"));
  }

  [[gnu::always_inline]] bool read_residuals(const rmsjit_args& args, RmsNormParams& params) {
    if (facts_.residual_bytes == 0) {
      params.residual = params.residual_out = nullptr;
      put_residual_strides({0, 0}, {0, 0}, params);
      if (args.residual != nullptr) [[unlikely]] {
        return refuse(errors::pointer_not_null("residual", "residual=none"));
      }
      if (args.residual_out == nullptr) [[likely]]
        return true;
      return refuse(errors::pointer_not_null("residual_out", "residual=none"));
    }
    const Pair pair{
        {"residual", args.residual, args.residual_token_stride, args.residual_head_stride},
        {"residual_out", args.residual_out, args.residual_out_token_stride,
         args.residual_out_head_stride},
        facts_.residual_bytes,
        facts_.residual_bytes,
        facts_.residual_in_place};
    const bool same = facts_.residual_in_place;
    params.residual = args.residual;
    params.residual_out = same ? const_cast<void*>(args.residual) : args.residual_out;
    const TensorStrides in = used_strides(extent_, pair.input);
    put_residual_strides(in, same ? in : used_strides(extent_, pair.output), params);
    return read_pair(pair);
  }

  void put_residual_strides(TensorStrides in, TensorStrides out, RmsNormParams& params) const {
    const int32_t bytes = facts_.residual_bytes;
    auto& upper = params.upper;
    put_halves(in_bytes(in.token, bytes), params.residual_token_stride,
               upper.residual_token_stride);
    put_halves(in_bytes(in.head, bytes), params.residual_head_stride, upper.residual_head_stride);
    put_halves(in_bytes(out.token, bytes), params.residual_out_token_stride,
               upper.residual_out_token_stride);
    put_halves(in_bytes(out.head, bytes), params.residual_out_head_stride,
               upper.residual_out_head_stride);
  }

  const LaunchFacts& facts_;
  const Extent& extent_;
  Spans& spans_;
  Status& error_;
};

// The ranges of some output meet those of another tensor: slices of one buffer, or an error.
[[gnu::noinline]] bool explain_overlap(const Spans& spans, Status& error) {
  for (int i = 1; i < spans.count; ++i) {
    for (int j = 0; j < i; ++j) {
      const Span& a = spans.list[i];
      const Span& b = spans.list[j];
      if (!(a.written | b.written) || share_no_byte(a, b)) continue;
      error = a.written ? errors::overlap(a, b) : errors::overlap(b, a);
      return false;
    }
  }
  return true;
}

inline bool check_overlaps(const Spans& spans, Status& error) {
  bool meet = false;
  for (int i = 1; i < spans.count; ++i) {
    for (int j = 0; j < i; ++j) {
      const Span& a = spans.list[i];
      const Span& b = spans.list[j];
      meet |= ranges_meet(a, b) & (a.written | b.written);
    }
  }
  return !meet || explain_overlap(spans, error);
}

}  // namespace

bool read_tensors(const LaunchFacts& facts, const Extent& extent, const rmsjit_args& args,
                  Spans& spans, RmsNormParams& params, Status& error) {
  return Reader(facts, extent, spans, error).read(args, params) && check_overlaps(spans, error);
}

}  // namespace rmsjit
