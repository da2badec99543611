// SPDX-License-Identifier: Apache-2.0
// From arrays of any rank to the rows or heads form of a launch: leading dimensions that lie one
// behind the other in every array become one.
#ifndef RMSJIT_PYTHON_SHAPES_H_
#define RMSJIT_PYTHON_SHAPES_H_

#include "runtime/python/native/arrays.h"

namespace rmsjit::python {

// The arrays of one call that have x's shape, absent ones null.
struct Shaped {
  const Array* x = nullptr;
  const Array* residual = nullptr;
  const Array* residual_out = nullptr;
  const Array* y = nullptr;
};

// "[4, 4096]"
struct ShapeText {
  explicit ShapeText(const DLTensor& tensor);
  char text[kMaxRank * 22 + 3];
};

// Whether all have x's shape; else the error is set.
bool same_shapes(const Shaped& arrays, const char* x_name);

// Fills tokens, heads and every stride. False, with no error set: the dimensions do not collapse.
bool place(const Shaped& arrays, int32_t layout, rmsjit_args& args);

// Sets the error of a call whose dimensions do not collapse.
void raise_not_collapsible(int32_t layout, int rank);

}  // namespace rmsjit::python

#endif  // RMSJIT_PYTHON_SHAPES_H_
