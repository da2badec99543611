// SPDX-License-Identifier: Apache-2.0
// The error sentences of launch arguments, one function for one sentence; all are kInvalidArgument.
// `tensor` is x, weight, residual, residual_out or y, as in rmsjit_args.
#ifndef RMSJIT_LAUNCH_ERRORS_H_
#define RMSJIT_LAUNCH_ERRORS_H_

#include <cstdint>

#include "rmsjit/status.h"
#include "runtime/launch_spans.h"

namespace rmsjit::errors {

Status count_negative(const char* field, int64_t value);
Status heads_too_many(int64_t heads, int64_t limit);
Status tokens_and_heads_too_many(int64_t tokens, int64_t heads, int64_t limit_of_one);
Status rows_too_many(int64_t tokens, int64_t heads, int64_t limit);
Status eps_not_allowed(float eps);
Status reserved_not_zero(int32_t value);
Status pointer_null(const char* tensor);
Status pointer_not_null(const char* tensor, const char* because);
Status pointer_misaligned(const char* tensor, uintptr_t address, int32_t element_bytes);
// dimension: "token" or "head".
Status stride_too_small(const char* tensor, const char* dimension, int64_t stride, int64_t hidden);
Status extent_too_large(const char* tensor);
Status not_in_place(const char* output, const void* given, const char* input, const void* wanted);
Status stride_not_in_place(const char* output, const char* dimension, int64_t given,
                           const char* input, int64_t wanted);
Status overlaps_itself(const char* tensor, int64_t token_stride, int64_t head_stride);
Status overlap(const Span& output, const Span& other);

}  // namespace rmsjit::errors

#endif  // RMSJIT_LAUNCH_ERRORS_H_
