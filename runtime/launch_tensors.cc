// SPDX-License-Identifier: Apache-2.0
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

inline bool add_and_scale(int64_t steps, int64_t stride, int64_t scale, int64_t& total) {
  int64_t reach;
  return __builtin_mul_overflow(steps, stride, &reach) |
         __builtin_mul_overflow(reach, scale, &reach) |
         __builtin_add_overflow(total, reach, &total);
}

// Checks one tensor by itself and works out the bytes it covers and the strides that count.
// span.written is set by the caller.
inline Status read_tensor(const Extent& extent, const Given& given, int32_t element_bytes,
                          int64_t hidden, Span& span) {
  const auto address = reinterpret_cast<uintptr_t>(given.pointer);
  if (address == 0) [[unlikely]]
    return errors::pointer_null(given.name);
  if ((address & static_cast<uintptr_t>(element_bytes - 1)) != 0) [[unlikely]] {
    return errors::pointer_misaligned(given.name, address, element_bytes);
  }
  // Frameworks put anything into the stride of an extent of one.
  const int64_t token = extent.tokens > 1 ? given.token_stride : 0;
  const int64_t head = extent.heads > 1 ? given.head_stride : 0;
  if (extent.tokens > 1 && token < hidden) [[unlikely]] {
    return errors::stride_too_small(given.name, "token", token, hidden);
  }
  if (extent.heads > 1 && head < hidden) [[unlikely]] {
    return errors::stride_too_small(given.name, "head", head, hidden);
  }
  const int64_t row_bytes = hidden * element_bytes;
  int64_t token_bytes = row_bytes;
  bool large = add_and_scale(extent.heads - 1, head, element_bytes, token_bytes);
  int64_t bytes = token_bytes;
  large |= add_and_scale(extent.tokens - 1, token, element_bytes, bytes);
  large |= __builtin_add_overflow(address, static_cast<uintptr_t>(bytes), &span.end);
  if (large) [[unlikely]]
    return errors::extent_too_large(given.name);
  span.tensor = given.name;
  span.begin = address;
  span.token_stride = token * element_bytes;
  span.head_stride = head * element_bytes;
  span.token_bytes = token_bytes;
  span.row_bytes = row_bytes;
  // Of a written tensor, the heads of a token or the tokens of a head lie within one stride.
  if (span.written && token != 0 && head != 0 && token_bytes > span.token_stride &&
      bytes - token_bytes + row_bytes > span.head_stride) [[unlikely]] {
    return errors::overlaps_itself(given.name, token, head);
  }
  return {};
}

// The output is the input's buffer: null or the same pointer, strides zero or the same.
inline Status check_in_place(const Extent& extent, const Given& output, const Given& input) {
  if (output.pointer != nullptr && output.pointer != input.pointer) [[unlikely]] {
    return errors::not_in_place(output.name, output.pointer, input.name, input.pointer);
  }
  const int64_t token = output.token_stride, head = output.head_stride;
  if (extent.tokens > 1 && token != 0 && token != input.token_stride) [[unlikely]] {
    return errors::stride_not_in_place(output.name, "token", token, input.name, input.token_stride);
  }
  if (extent.heads > 1 && head != 0 && head != input.head_stride) [[unlikely]] {
    return errors::stride_not_in_place(output.name, "head", head, input.name, input.head_stride);
  }
  return {};
}

inline TensorStrides used_strides(const Extent& extent, const Given& given) {
  return {extent.tokens > 1 ? given.token_stride : 0, extent.heads > 1 ? given.head_stride : 0};
}

// An input and the output that may lie in place of it.
struct Pair {
  Given input;
  Given output;
  int32_t input_bytes;
  int32_t output_bytes;
  bool in_place;
};

inline Status read_pair(const Extent& extent, const Pair& pair, int64_t hidden, Spans& spans) {
  const Access access = pair.in_place ? Access::kWritten : Access::kRead;
  RMSJIT_RETURN_IF_ERROR(
      read_tensor(extent, pair.input, pair.input_bytes, hidden, spans.add(access)));
  if (pair.in_place) return check_in_place(extent, pair.output, pair.input);
  return read_tensor(extent, pair.output, pair.output_bytes, hidden, spans.add(Access::kWritten));
}

inline Status read_x_and_y(const LaunchFacts& facts, const Extent& extent, const rmsjit_args& args,
                           Spans& spans, RmsNormParams& params) {
  const Pair pair{{"x", args.x, args.x_token_stride, args.x_head_stride},
                  {"y", args.y, args.y_token_stride, args.y_head_stride},
                  facts.x_bytes,
                  facts.y_bytes,
                  facts.y_in_place};
  RMSJIT_RETURN_IF_ERROR(read_pair(extent, pair, facts.hidden, spans));
  params.x = args.x;
  params.x_stride = used_strides(extent, pair.input);
  params.y = facts.y_in_place ? const_cast<void*>(args.x) : args.y;
  params.y_stride = facts.y_in_place ? params.x_stride : used_strides(extent, pair.output);
  return {};
}

inline Status read_weight(const LaunchFacts& facts, const rmsjit_args& args, Spans& spans,
                          RmsNormParams& params) {
  params.weight = args.weight;
  if (facts.weight_bytes == 0) {
    if (args.weight != nullptr) [[unlikely]] {
      return errors::pointer_not_null("weight", "weight=none");
    }
    return {};
  }
  return read_tensor({1, 1}, {"weight", args.weight, 0, 0}, facts.weight_bytes, facts.hidden,
                     spans.add(Access::kRead));
}

inline Status read_residuals(const LaunchFacts& facts, const Extent& extent,
                             const rmsjit_args& args, Spans& spans, RmsNormParams& params) {
  params.residual = args.residual;
  params.residual_out = args.residual_out;
  params.residual_stride = params.residual_out_stride = {0, 0};
  if (facts.residual_bytes == 0) {
    if (args.residual != nullptr) [[unlikely]] {
      return errors::pointer_not_null("residual", "residual=none");
    }
    if (args.residual_out != nullptr) [[unlikely]] {
      return errors::pointer_not_null("residual_out", "residual=none");
    }
    return {};
  }
  const Pair pair{
      {"residual", args.residual, args.residual_token_stride, args.residual_head_stride},
      {"residual_out", args.residual_out, args.residual_out_token_stride,
       args.residual_out_head_stride},
      facts.residual_bytes,
      facts.residual_bytes,
      facts.residual_in_place};
  RMSJIT_RETURN_IF_ERROR(read_pair(extent, pair, facts.hidden, spans));
  params.residual_stride = used_strides(extent, pair.input);
  params.residual_out_stride = params.residual_stride;
  if (facts.residual_in_place) {
    params.residual_out = const_cast<void*>(args.residual);
  } else {
    params.residual_out_stride = used_strides(extent, pair.output);
  }
  return {};
}

inline Status check_overlaps(const Spans& spans) {
  for (int i = 1; i < spans.count; ++i) {
    for (int j = 0; j < i; ++j) {
      const Span& a = spans.list[i];
      const Span& b = spans.list[j];
      if (!(a.written | b.written) || share_no_byte(a, b)) continue;
      return a.written ? errors::overlap(a, b) : errors::overlap(b, a);
    }
  }
  return {};
}

}  // namespace

Status read_tensors(const LaunchFacts& facts, const Extent& extent, const rmsjit_args& args,
                    Spans& spans, RmsNormParams& params) {
  RMSJIT_RETURN_IF_ERROR(read_x_and_y(facts, extent, args, spans, params));
  RMSJIT_RETURN_IF_ERROR(read_weight(facts, args, spans, params));
  RMSJIT_RETURN_IF_ERROR(read_residuals(facts, extent, args, spans, params));
  return check_overlaps(spans);
}

}  // namespace rmsjit
