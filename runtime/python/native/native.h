// SPDX-License-Identifier: Apache-2.0
// What the files of the Python extension share: the limited C API (one build for every Python), the
// runtime of the process, and how a failure becomes a Python exception. Everything here is called
// with the GIL held.
#ifndef RMSJIT_PYTHON_NATIVE_H_
#define RMSJIT_PYTHON_NATIVE_H_

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <initializer_list>

#include "rmsjit/rmsjit_c.h"

namespace rmsjit::python {

// The one runtime, made with the environment's options when it is first needed. Null: the error is
// set.
rmsjit_runtime* runtime();

// Sets the exception class of the status, with the library's message.
void raise(const rmsjit_error& error);
// Sets InvalidArgument with a formatted sentence (PyErr_Format's directives).
void raise_invalid(const char* format, ...);

// What Python registers once: {"exceptions": {code: class}, "classify": function of a type,
// "dispatch": function that takes what Form.run got when an operand is no plain array,
// "grad": function that raises the error about autograd}.
PyObject* register_hooks(PyObject* module, PyObject* hooks);
struct Hooks {
  PyObject* exceptions = nullptr;
  PyObject* classify = nullptr;
  PyObject* dispatch = nullptr;
  PyObject* grad = nullptr;
};
const Hooks& hooks();

// The functions of runtime_calls.cc and the type of form.cc.
extern PyMethodDef kRuntimeMethods[];
PyObject* make_form_type(PyObject* module);

}  // namespace rmsjit::python

#endif  // RMSJIT_PYTHON_NATIVE_H_
