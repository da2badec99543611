// SPDX-License-Identifier: Apache-2.0
// The five tensors of a launch: checked one by one, then against each other, and written into the
// parameter block. A part of launch_args.h.
#ifndef RMSJIT_LAUNCH_TENSORS_H_
#define RMSJIT_LAUNCH_TENSORS_H_

#include "runtime/launch_args.h"
#include "runtime/launch_spans.h"

namespace rmsjit {

// In elements (the parameter block has bytes). Zero for an extent of one, as there.
struct TensorStrides {
  int64_t token;
  int64_t head;
};

// A count or a stride in bytes, cut in two for the parameter block.
inline void put_halves(uint64_t value, unsigned& lower, unsigned& upper) {
  lower = static_cast<unsigned>(value);
  upper = static_cast<unsigned>(value >> 32);
}

struct Extent {
  int64_t tokens;
  int64_t heads;
};

enum class Access { kRead, kWritten };

// Every buffer that is there, once.
struct Spans {
  Span list[5];
  int count = 0;
};

// Fills the pointers and strides of `params` and `spans`. Requires tokens and heads > 0. False: a
// bad argument, and `error` says which.
bool read_tensors(const LaunchFacts& facts, const Extent& extent, const rmsjit_args& args,
                  Spans& spans, RmsNormParams& params, Status& error);

}  // namespace rmsjit

#endif  // RMSJIT_LAUNCH_TENSORS_H_
