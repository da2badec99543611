// SPDX-License-Identifier: Apache-2.0
// What every binding layer of this comparison hands over: the arguments of one norm. Nothing is
// computed; the volatile store keeps the compiler from dropping the reads.
#ifndef BINDING_LAYERS_TAKEN_H_
#define BINDING_LAYERS_TAKEN_H_

#include <cstdint>

struct Tensor {
  const void* data;
  int64_t rows, hidden, stride;
  int dtype_bits;
};

inline volatile int64_t sink;

[[gnu::noinline]] inline void take(const Tensor& out, const Tensor& x, const void* weight,
                                   double eps, void* stream) {
  sink = reinterpret_cast<intptr_t>(out.data) ^ reinterpret_cast<intptr_t>(x.data) ^
         reinterpret_cast<intptr_t>(weight) ^ reinterpret_cast<intptr_t>(stream) ^
         (x.rows * x.hidden + out.stride) ^ (x.dtype_bits + static_cast<int64_t>(eps));
}

#endif  // BINDING_LAYERS_TAKEN_H_
