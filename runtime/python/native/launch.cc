// SPDX-License-Identifier: Apache-2.0
#include "runtime/python/native/call.h"

namespace rmsjit::python {
namespace {

// Where rank decides the layout and that kernel is not there but the other layout's is, the other
// one serves: the bits are the same.
const rmsjit_kernel* find(const FormFacts& form, Call& call, const Shaped& shaped, int32_t device) {
  const rmsjit_kernel* kernel = rmsjit_find(runtime(), &call.spec, device);
  if (kernel != nullptr || form.layout != kAnyLayout) [[likely]]
    return kernel;
  rmsjit_spec other = call.spec;
  rmsjit_args args = call.args;
  other.layout = call.spec.layout == RMSJIT_ROWS ? RMSJIT_HEADS : RMSJIT_ROWS;
  kernel = rmsjit_find(runtime(), &other, device);
  if (kernel == nullptr || !place(shaped, other.layout, args)) return nullptr;
  call.spec = other;
  call.args = args;
  return kernel;
}

rmsjit_status launch_without_gil(const Call& call, int32_t device, rmsjit_error& error) {
  PyThreadState* thread = PyEval_SaveThread();
  const rmsjit_status status =
      rmsjit_launch(runtime(), &call.spec, device, &call.args, call.stream, &error);
  PyEval_RestoreThread(thread);
  return status;
}

// The legacy stream belongs to whichever context is current, so another device's is made current.
bool launch_on_device(const Call& call, int32_t device, rmsjit_error& error) {
  PyObject* guard = PyObject_CallFunction(call.owner->on_device, "i", int(device));
  PyObject* entered = guard == nullptr ? nullptr : PyObject_CallMethod(guard, "__enter__", nullptr);
  bool launched = false;
  if (entered != nullptr) {
    launched = launch_without_gil(call, device, error) == RMSJIT_OK;
    PyObject* left = PyObject_CallMethod(guard, "__exit__", "OOO", Py_None, Py_None, Py_None);
    Py_XDECREF(left);
    launched = launched && left != nullptr;
  }
  Py_XDECREF(entered);
  Py_XDECREF(guard);
  if (!launched && PyErr_Occurred() == nullptr) raise(error);
  return launched;
}

}  // namespace

bool launch(const FormFacts& form, Call& call, const Shaped& shaped) {
  const int32_t device = shaped.y->get().device.device_id;
  if (runtime() == nullptr) return false;
  rmsjit_error error;
  const rmsjit_kernel* kernel = find(form, call, shaped, device);
  if (kernel != nullptr) [[likely]] {
    const rmsjit_status status = rmsjit_kernel_launch(kernel, &call.args, call.stream, &error);
    if (status == RMSJIT_OK) [[likely]]
      return true;
    if (status != RMSJIT_WRONG_CONTEXT && status != RMSJIT_WRONG_DEVICE) {
      raise(error);
      return false;
    }
  }
  const rmsjit_status status = launch_without_gil(call, device, error);
  if (status == RMSJIT_OK) return true;
  const bool elsewhere = status == RMSJIT_WRONG_CONTEXT || status == RMSJIT_WRONG_DEVICE;
  if (elsewhere && call.owner->on_device != nullptr) return launch_on_device(call, device, error);
  raise(error);
  return false;
}

}  // namespace rmsjit::python
