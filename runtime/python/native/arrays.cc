// SPDX-License-Identifier: Apache-2.0
#include "runtime/python/native/arrays.h"

#include <iterator>

namespace rmsjit::python {
namespace {

constexpr int kMostTypes = 32;
ArrayType types[kMostTypes];
int type_count = 0;

// A new reference to the item, or null for None.
PyObject* item(PyObject* tuple, Py_ssize_t index) {
  PyObject* value = PyTuple_GetItem(tuple, index);
  if (value == Py_None || value == nullptr) return nullptr;
  Py_INCREF(value);
  return value;
}

const DLPackExchangeAPI* exchange_table(PyObject* capsule) {
  if (capsule == nullptr) return nullptr;
  auto* table =
      static_cast<const DLPackExchangeAPI*>(PyCapsule_GetPointer(capsule, "dlpack_exchange_api"));
  if (table == nullptr) PyErr_Clear();
  // A framework may offer tables of several versions, the newest first.
  while (table != nullptr && table->header.version.major != DLPACK_MAJOR_VERSION) {
    table = reinterpret_cast<const DLPackExchangeAPI*>(table->header.prev_api);
  }
  return table != nullptr && table->dltensor_from_py_object_no_sync != nullptr ? table : nullptr;
}

// The function at the address that an int holds, or null for None.
bool (*c_function(PyObject* address))() {
  if (address == Py_None || address == nullptr) return nullptr;
  return reinterpret_cast<bool (*)()>(PyLong_AsVoidPtr(address));
}

const ArrayType* learn(PyTypeObject* type, const char* name) {
  // (access, exchange capsule, current_stream, empty_like, grad_enabled, on_device, grad_mode)
  PyObject* facts = PyObject_CallFunction(hooks().classify, "Os", type, name);
  if (facts == nullptr) return nullptr;
  ArrayType& slot = types[type_count < kMostTypes ? type_count : kMostTypes - 1];
  ArrayType learnt;
  learnt.access = static_cast<Access>(PyLong_AsLong(PyTuple_GetItem(facts, 0)));
  PyObject* capsule = item(facts, 1);
  learnt.exchange = exchange_table(capsule);
  Py_XDECREF(capsule);
  if (learnt.access == Access::kExchange && learnt.exchange == nullptr)
    learnt.access = Access::kCapsule;
  learnt.current_stream = item(facts, 2);
  learnt.empty_like = item(facts, 3);
  learnt.grad_enabled = item(facts, 4);
  learnt.on_device = item(facts, 5);
  learnt.grad_mode = c_function(PyTuple_GetItem(facts, 6));
  Py_DECREF(facts);
  Py_INCREF(type);
  learnt.type = type;
  // Past the table's end the last slot changes hands; what it held is left alive, because a call
  // further up may still use it.
  slot = learnt;
  if (type_count < kMostTypes) ++type_count;
  return &slot;
}

int32_t dtype_number(DLDataType dtype) {
  if (dtype.lanes != 1) return 0;
  if (dtype.code == kDLBfloat && dtype.bits == 16) return RMSJIT_BF16;
  if (dtype.code == kDLFloat && dtype.bits == 16) return RMSJIT_F16;
  if (dtype.code == kDLFloat && dtype.bits == 32) return RMSJIT_F32;
  return 0;
}

// __dlpack__(stream=...), with the newest version that is understood where the array knows that.
PyObject* call_dlpack(PyObject* array, void* stream) {
  // In DLPack's numbering the legacy default stream is 1.
  const auto number = reinterpret_cast<unsigned long long>(stream);
  PyObject* method = PyObject_GetAttrString(array, "__dlpack__");
  PyObject* empty = PyTuple_New(0);
  PyObject* words = Py_BuildValue("{s:K,s:(ii)}", "stream", number == 0 ? 1ull : number,
                                  "max_version", DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION);
  PyObject* capsule = nullptr;
  if (method != nullptr && empty != nullptr && words != nullptr) {
    capsule = PyObject_Call(method, empty, words);
    if (capsule == nullptr && PyErr_ExceptionMatches(PyExc_TypeError)) {
      PyErr_Clear();
      PyDict_DelItemString(words, "max_version");
      capsule = PyObject_Call(method, empty, words);
    }
  }
  Py_XDECREF(method);
  Py_XDECREF(empty);
  Py_XDECREF(words);
  return capsule;
}

void raise_elsewhere(const char* name, int device_type) {
  if (device_type == kDLCPU)
    raise_invalid("%s is on the CPU: move it to a CUDA device", name);
  else
    raise_invalid("%s is on a device of DLPack type %d: move it to a CUDA device (type %d)", name,
                  device_type, int(kDLCUDA));
}

// Arrays elsewhere refuse __dlpack__ in their framework's words, about streams mostly.
void explain_refusal(const char* name, PyObject* array) {
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyObject* device = PyObject_CallMethod(array, "__dlpack_device__", nullptr);
  int device_type = kDLCUDA, device_id = 0;
  if (device == nullptr || !PyArg_ParseTuple(device, "ii", &device_type, &device_id) ||
      device_type == kDLCUDA) {
    PyErr_Restore(type, value, trace);
  } else {
    for (PyObject* old : {type, value, trace}) Py_XDECREF(old);
    raise_elsewhere(name, device_type);
  }
  Py_XDECREF(device);
}

void raise_dtype(const char* name, DLDataType dtype) {
  constexpr const char* kKinds[] = {"int", "uint", "float", "handle", "bfloat", "complex", "bool"};
  const char* kind = dtype.code < std::size(kKinds) ? kKinds[dtype.code] : "DLPack code ";
  const int number = dtype.code < std::size(kKinds) ? dtype.bits : dtype.code;
  raise_invalid("%s has the dtype %s%d: bf16, f16 and f32 are allowed", name, kind, number);
}

}  // namespace

const ArrayType* type_of(PyObject* array, const char* name) {
  PyTypeObject* type = Py_TYPE(array);
  for (int i = 0; i < type_count; ++i) {
    if (types[i].type == type) return &types[i];
  }
  return learn(type, name);
}

bool Array::read(const char* name, PyObject* array, const ArrayType& type, const ArrayType& owner,
                 void* stream) {
  if (type.exchange != nullptr && type.exchange == owner.exchange) [[likely]] {
    if (type.exchange->dltensor_from_py_object_no_sync(array, &tensor_) != 0) {
      if (PyErr_Occurred() == nullptr) raise_invalid("%s cannot be read through DLPack", name);
      return false;
    }
  } else if (!read_capsule(name, array, stream)) {
    return false;
  }
  return check(name);
}

bool Array::read_capsule(const char* name, PyObject* array, void* stream) {
  capsule_ = call_dlpack(array, stream);
  if (capsule_ == nullptr) {
    explain_refusal(name, array);
    return false;
  }
  if (PyCapsule_IsValid(capsule_, "dltensor_versioned")) {
    tensor_ =
        static_cast<DLManagedTensorVersioned*>(PyCapsule_GetPointer(capsule_, "dltensor_versioned"))
            ->dl_tensor;
    return true;
  }
  auto* managed = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule_, "dltensor"));
  if (managed == nullptr) return false;
  tensor_ = managed->dl_tensor;
  return true;
}

bool Array::check(const char* name) {
  if (tensor_.device.device_type != kDLCUDA) [[unlikely]] {
    raise_elsewhere(name, tensor_.device.device_type);
    return false;
  }
  if (tensor_.ndim < 1 || tensor_.ndim > kMaxRank) [[unlikely]] {
    raise_invalid("%s has %d dimensions: 1 to %d are allowed", name, tensor_.ndim, kMaxRank);
    return false;
  }
  dtype_ = dtype_number(tensor_.dtype);
  if (dtype_ == 0) [[unlikely]] {
    raise_dtype(name, tensor_.dtype);
    return false;
  }
  if (tensor_.strides == nullptr) {  // older producers: dense
    int64_t step = 1;
    for (int i = tensor_.ndim - 1; i >= 0; step *= tensor_.shape[i--]) dense_strides_[i] = step;
    tensor_.strides = dense_strides_;
  }
  const int last = tensor_.ndim - 1;
  if (tensor_.strides[last] != 1 && tensor_.shape[last] > 1) [[unlikely]] {
    raise_invalid("%s has stride %lld in its last dimension: 1 is needed", name,
                  static_cast<long long>(tensor_.strides[last]));
    return false;
  }
  return true;
}

bool current_stream(const ArrayType& type, int32_t device, void** stream) {
  if (type.exchange != nullptr) [[likely]] {
    if (type.exchange->current_work_stream(kDLCUDA, device, stream) == 0) return true;
    if (PyErr_Occurred() == nullptr) raise_invalid("the framework names no stream of the device");
    return false;
  }
  if (type.current_stream == nullptr) {
    raise_invalid("no stream is known: give out=, a torch or CuPy array");
    return false;
  }
  PyObject* number = PyObject_CallNoArgs(type.current_stream);
  if (number == nullptr) return false;
  *stream = PyLong_AsVoidPtr(number);
  Py_DECREF(number);
  return PyErr_Occurred() == nullptr;
}

}  // namespace rmsjit::python
