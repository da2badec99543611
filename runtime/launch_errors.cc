// SPDX-License-Identifier: Apache-2.0
#include "runtime/launch_errors.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace rmsjit::errors {
namespace {

Status bad(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

}  // namespace

Status count_negative(const char* field, int64_t value) {
  return bad(fmt::format("{}={} is negative: 0 or more", field, value));
}

Status heads_too_many(int64_t heads, int64_t limit) {
  return bad(fmt::format("heads={} is too many: at most {}", heads, limit));
}

Status tokens_and_heads_too_many(int64_t tokens, int64_t heads, int64_t limit_of_one) {
  return bad(fmt::format("tokens={} and heads={} are too many together: one of them at most {}",
                         tokens, heads, limit_of_one));
}

Status rows_too_many(int64_t tokens, int64_t heads, int64_t limit) {
  return bad(fmt::format("tokens={} times heads={} is too many rows: at most {} a launch", tokens,
                         heads, limit));
}

Status eps_not_allowed(float eps) {
  return bad(fmt::format("eps={} is not allowed: finite and 0 or more", eps));
}

Status reserved_not_zero(int32_t value) {
  return bad(fmt::format("reserved={} is not zero: clear the struct before filling it", value));
}

Status pointer_null(const char* tensor) {
  return bad(fmt::format("{} is null: a device pointer is needed for this spec", tensor));
}

Status pointer_not_null(const char* tensor, const char* because) {
  return bad(fmt::format("{} is given but the spec has {}: pass null", tensor, because));
}

Status pointer_misaligned(const char* tensor, uintptr_t address, int32_t element_bytes) {
  return bad(fmt::format("{}={:#x} is not aligned to its element: a multiple of {} bytes", tensor,
                         address, element_bytes));
}

Status stride_too_small(const char* tensor, const char* dimension, int64_t stride, int64_t hidden) {
  return bad(fmt::format("{}_{}_stride={} is smaller than a row: at least hidden={} elements",
                         tensor, dimension, stride, hidden));
}

Status extent_too_large(const char* tensor) {
  return bad(
      fmt::format("{} with its strides and counts reaches past 64 bits of address: use "
                  "smaller strides or counts",
                  tensor));
}

Status not_in_place(const char* output, const void* given, const char* input, const void* wanted) {
  return bad(
      fmt::format("{}={} but the spec has it in place of {}={}: pass null or that pointer, "
                  "or prepare the spec with the output out_of_place",
                  output, given, input, wanted));
}

Status stride_not_in_place(const char* output, const char* dimension, int64_t given,
                           const char* input, int64_t wanted) {
  return bad(fmt::format("{}_{}_stride={} but the spec has it in place of {}: 0 or {}_{}_stride={}",
                         output, dimension, given, input, input, dimension, wanted));
}

Status overlaps_itself(const char* tensor, int64_t token_stride, int64_t head_stride) {
  return bad(
      fmt::format("{} is written and its rows overlap: {}_token_stride={} and "
                  "{}_head_stride={} must keep the heads of a token, or the tokens of a "
                  "head, apart",
                  tensor, tensor, token_stride, tensor, head_stride));
}

Status overlap(const Span& output, const Span& other) {
  const std::string_view written = output.tensor;
  const bool same = output.begin == other.begin;
  const char* hint = "use buffers that share no byte, or slices with equal strides";
  if (same && written == "y" && std::string_view(other.tensor) == "x") {
    hint = "to overwrite x, prepare the spec with y_placement=in_place";
  } else if (same && written == "residual_out" && std::string_view(other.tensor) == "residual") {
    hint = "to overwrite residual, prepare the spec with residual_placement=in_place";
  }
  return bad(fmt::format("{} is written and overlaps {}: bytes {:#x}..{:#x} and {:#x}..{:#x}: {}",
                         output.tensor, other.tensor, output.begin, output.end, other.begin,
                         other.end, hint));
}

}  // namespace rmsjit::errors
