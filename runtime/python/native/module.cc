// SPDX-License-Identifier: Apache-2.0
// The module rmsjit._native: its table of contents, the runtime of the process, and the hooks by
// which Python classes and functions get in.
#include <stdarg.h>

#include "runtime/python/native/native.h"

namespace rmsjit::python {
namespace {

Hooks registered;
rmsjit_runtime* the_runtime = nullptr;

}  // namespace

const Hooks& hooks() { return registered; }

rmsjit_runtime* runtime() {
  if (the_runtime != nullptr) [[likely]]
    return the_runtime;
  rmsjit_error error;
  if (rmsjit_runtime_create(nullptr, &the_runtime, &error) != RMSJIT_OK) raise(error);
  return the_runtime;
}

// The options of configure(), which must come before anything needs the runtime.
bool adopt_runtime(const rmsjit_options& options) {
  if (the_runtime != nullptr) {
    raise_invalid("configure() was called after the runtime was first used: call it at start-up");
    return false;
  }
  rmsjit_error error;
  if (rmsjit_runtime_create(&options, &the_runtime, &error) == RMSJIT_OK) return true;
  raise(error);
  return false;
}

void raise(const rmsjit_error& error) {
  PyObject* code = PyLong_FromLong(error.code);
  PyObject* type = code == nullptr || registered.exceptions == nullptr
                       ? nullptr
                       : PyDict_GetItemWithError(registered.exceptions, code);
  Py_XDECREF(code);
  if (PyErr_Occurred() == nullptr) {
    PyErr_SetString(type == nullptr ? PyExc_RuntimeError : type, error.message);
  }
}

void raise_invalid(const char* format, ...) {
  va_list values;
  va_start(values, format);
  PyObject* text = PyUnicode_FromFormatV(format, values);
  va_end(values);
  const char* sentence = text == nullptr ? nullptr : PyUnicode_AsUTF8AndSize(text, nullptr);
  if (sentence != nullptr) {
    rmsjit_error error;
    error.code = RMSJIT_INVALID_ARGUMENT;
    PyOS_snprintf(error.message, sizeof error.message, "%s", sentence);
    raise(error);
  }
  Py_XDECREF(text);
}

PyObject* register_hooks(PyObject*, PyObject* given) {
  const struct {
    const char* name;
    PyObject** place;
  } places[] = {{"exceptions", &registered.exceptions},
                {"classify", &registered.classify},
                {"dispatch", &registered.dispatch},
                {"grad", &registered.grad}};
  if (!PyDict_Check(given)) return PyErr_Format(PyExc_TypeError, "hooks is no dict");
  for (const auto& [name, place] : places) {
    PyObject* value = PyDict_GetItemString(given, name);
    if (value == nullptr) return PyErr_Format(PyExc_TypeError, "hooks has no %s", name);
    Py_INCREF(value);
    Py_XDECREF(*place);
    *place = value;
  }
  Py_RETURN_NONE;
}

namespace {

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "rmsjit._native",
                          "The native part of rmsjit; use the package.",
                          -1,
                          kRuntimeMethods,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

}  // namespace
}  // namespace rmsjit::python

PyMODINIT_FUNC PyInit__native() {
  PyObject* module = PyModule_Create(&rmsjit::python::definition);
  if (module == nullptr) return nullptr;
  PyObject* form = rmsjit::python::make_form_type(module);
  if (form == nullptr || PyModule_AddObjectRef(module, "Form", form) != 0) {
    Py_XDECREF(form);
    Py_DECREF(module);
    return nullptr;
  }
  Py_DECREF(form);
  return module;
}
