// SPDX-License-Identifier: Apache-2.0
#include "runtime/launch_spans.h"

namespace rmsjit {
namespace {

// a covers a_bytes and b covers b_bytes, again and again every `period` bytes.
bool apart_modulo(const Span& a, int64_t a_bytes, const Span& b, int64_t b_bytes, int64_t period) {
  if (a_bytes > period || b_bytes > period) return false;
  const bool forward = b.begin >= a.begin;
  const uintptr_t distance = forward ? b.begin - a.begin : a.begin - b.begin;
  int64_t offset = static_cast<int64_t>(distance % static_cast<uintptr_t>(period));
  if (!forward && offset != 0) offset = period - offset;
  return offset >= a_bytes && offset + b_bytes <= period;
}

}  // namespace

bool are_slices(const Span& a, const Span& b) {
  if (a.token_stride != 0 && a.token_stride == b.token_stride &&
      apart_modulo(a, a.token_bytes, b, b.token_bytes, a.token_stride)) {
    return true;
  }
  const int64_t head = a.head_stride;
  return head != 0 && head == b.head_stride && a.token_stride % head == 0 &&
         b.token_stride % head == 0 && apart_modulo(a, a.row_bytes, b, b.row_bytes, head);
}

}  // namespace rmsjit
