// SPDX-License-Identifier: Apache-2.0
// The layer that rmsjit uses, reduced to the same work as the others: Python's limited C API, and
// DLPack's exchange table, which torch and others hang on their array types.
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <dlpack/dlpack.h>

#include "taken.h"

static const DLPackExchangeAPI* table;

static PyObject* use(PyObject*, PyObject* capsule) {
  table =
      static_cast<const DLPackExchangeAPI*>(PyCapsule_GetPointer(capsule, "dlpack_exchange_api"));
  Py_RETURN_NONE;
}

static bool read(PyObject* array, DLTensor& tensor) {
  return table->dltensor_from_py_object_no_sync(array, &tensor) == 0;
}

static Tensor described(const DLTensor& t) {
  return {t.data, t.shape[0], t.shape[1], t.strides[0], t.dtype.bits};
}

static PyObject* rms_norm(PyObject*, PyObject* const* given, Py_ssize_t count) {
  DLTensor out, x, weight;
  void* stream = nullptr;
  if (count != 4 || !read(given[0], out) || !read(given[1], x) || !read(given[2], weight))
    return nullptr;
  if (table->current_work_stream(x.device.device_type, x.device.device_id, &stream) != 0)
    return nullptr;
  take(described(out), described(x), weight.data, PyFloat_AsDouble(given[3]), stream);
  Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"use", use, METH_O, nullptr},
    {"rms_norm", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(rms_norm)),
     METH_FASTCALL, nullptr},
    {}};
static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "layer_c_api", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};
PyMODINIT_FUNC PyInit_layer_c_api() { return PyModule_Create(&definition); }
