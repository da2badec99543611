// SPDX-License-Identifier: Apache-2.0
// Span: the bytes that a tensor covers in one launch, and whether two of them share one. Pure.
#ifndef RMSJIT_LAUNCH_SPANS_H_
#define RMSJIT_LAUNCH_SPANS_H_

#include <cstdint>

namespace rmsjit {

// Not initialised: launch fills a handful of them on its way to the driver.
struct Span {
  const char* tensor;  // x, weight, residual, residual_out or y
  uintptr_t begin;
  uintptr_t end;  // one past the last byte
  // In bytes; 0 where the extent is one.
  int64_t token_stride;
  int64_t head_stride;
  int64_t token_bytes;  // from the first to the last byte of one token
  int64_t row_bytes;
  bool written;
};

// For two spans whose byte ranges meet: whether they are slices of one buffer that still share no
// byte. True for equal token strides whose per-token extents do not meet modulo the stride, and, a
// level below, for equal head strides (token strides being multiples of them) with such rows.
bool are_slices(const Span& a, const Span& b);

inline bool ranges_meet(const Span& a, const Span& b) {
  return (a.begin < b.end) & (b.begin < a.end);
}

inline bool share_no_byte(const Span& a, const Span& b) {
  return !ranges_meet(a, b) || are_slices(a, b);
}

}  // namespace rmsjit

#endif  // RMSJIT_LAUNCH_SPANS_H_
