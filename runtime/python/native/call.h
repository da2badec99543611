// SPDX-License-Identifier: Apache-2.0
// One call of the norm, from Python objects to spec and arguments (operands.cc) and onto the stream
// (launch.cc).
#ifndef RMSJIT_PYTHON_CALL_H_
#define RMSJIT_PYTHON_CALL_H_

#include "runtime/python/native/arrays.h"
#include "runtime/python/native/native.h"
#include "runtime/python/native/shapes.h"

namespace rmsjit::python {

inline constexpr int32_t kAnyLayout = -1;

// The part of a spec that no array tells, and its layout (kAnyLayout: by rank).
struct FormFacts {
  rmsjit_spec spec;
  int32_t layout;
  char x_name[8];  // what the surface calls its input, for the errors
};

// What run() was given, and what it works out.
struct Call {
  PyObject* x;
  PyObject* weight;
  PyObject* residual;
  PyObject* residual_out;
  PyObject* y;
  // New references to arrays that the call itself allocated.
  PyObject* made_y = nullptr;
  PyObject* made_residual_out = nullptr;
  const ArrayType* owner = nullptr;  // whose stream and allocator the call uses
  void* stream = nullptr;
  rmsjit_spec spec;
  rmsjit_args args;

  ~Call() {
    Py_XDECREF(made_y);
    Py_XDECREF(made_residual_out);
  }
};

struct Views {
  Array x, weight, residual, residual_out, y;
};

// Each returns whether it succeeded; if not, the error is set.
bool choose_outputs(const FormFacts& form, Call& call);
bool read_arrays(const FormFacts& form, Call& call, Views& views);
bool check_autograd(const Call& call);
bool fill(const FormFacts& form, Call& call, const Shaped& shaped, const Array* weight);
bool launch(const FormFacts& form, Call& call, const Shaped& shaped);

}  // namespace rmsjit::python

#endif  // RMSJIT_PYTHON_CALL_H_
