// SPDX-License-Identifier: Apache-2.0
// Arrays of any framework as DLTensor. What a type is gets asked of Python once and remembered;
// after that a torch tensor costs one call through DLPack's C exchange table. Arrays of frameworks
// without such a table come as DLPack capsules.
#ifndef RMSJIT_PYTHON_ARRAYS_H_
#define RMSJIT_PYTHON_ARRAYS_H_

#include <dlpack/dlpack.h>

#include "runtime/python/native/native.h"

namespace rmsjit::python {

// The numbers are those of _frameworks.py.
enum class Access : int {
  kExchange = 0,  // through the exchange table; read and written
  kCapsule = 1,   // through __dlpack__; read and written
  kReadOnly = 2,  // through __dlpack__; only read
  kDispatch = 3,  // no plain array (fake, functional, another subclass): Python decides
};

struct ArrayType {
  PyTypeObject* type = nullptr;
  Access access = Access::kDispatch;
  const DLPackExchangeAPI* exchange = nullptr;
  // Each may be null: the current stream as an int, a new array like the given one, whether
  // gradients are recorded, a context manager that makes a device current.
  PyObject* current_stream = nullptr;
  PyObject* empty_like = nullptr;
  PyObject* grad_enabled = nullptr;
  PyObject* on_device = nullptr;
  // grad_enabled as a C function, where the framework has one: the call through Python costs as
  // much as the checks of a launch.
  bool (*grad_mode)() = nullptr;
};

// Null: the error is set; `name` is in its sentence.
const ArrayType* type_of(PyObject* array, const char* name);

inline constexpr int kMaxRank = 8;

// A borrowed look at an array, valid while the array lives and this object does.
class Array {
 public:
  Array() = default;
  ~Array() { Py_XDECREF(capsule_); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  // `stream` is what the kernel will run on; an array of another framework is made ready for it.
  // False: the error is set; `name` is in its sentence.
  bool read(const char* name, PyObject* array, const ArrayType& type, const ArrayType& owner,
            void* stream);
  const DLTensor& get() const { return tensor_; }
  char* data() const { return static_cast<char*>(tensor_.data) + tensor_.byte_offset; }
  int32_t dtype() const { return dtype_; }  // a number of rmsjit_c.h

 private:
  bool read_capsule(const char* name, PyObject* array, void* stream);
  bool check(const char* name);

  DLTensor tensor_;
  int32_t dtype_;
  PyObject* capsule_ = nullptr;
  int64_t dense_strides_[kMaxRank];
};

// The stream that the framework has current for the device. False: the error is set.
bool current_stream(const ArrayType& type, int32_t device, void** stream);

}  // namespace rmsjit::python

#endif  // RMSJIT_PYTHON_ARRAYS_H_
