// SPDX-License-Identifier: Apache-2.0
#include "runtime/python/native/call.h"

namespace rmsjit::python {
namespace {

bool check_writable(PyObject* array, const char* name) {
  const ArrayType* type = type_of(array, name);
  if (type == nullptr) return false;
  if (type->access != Access::kReadOnly) [[likely]]
    return true;
  raise_invalid("%s is a %R, which is only read: give a torch or CuPy array to write to", name,
                Py_TYPE(array));
  return false;
}

PyObject* allocate_like(PyObject* array, const char* name, const char* wanted) {
  const ArrayType* type = type_of(array, name);
  if (type != nullptr && type->empty_like != nullptr)
    return PyObject_CallFunctionObjArgs(type->empty_like, array, nullptr);
  if (type != nullptr) {
    raise_invalid("no array like %s, a %R, can be allocated: give %s=, a torch or CuPy array", name,
                  Py_TYPE(array), wanted);
  }
  return nullptr;
}

bool read_one(const char* name, PyObject* array, const Call& call, Array& view) {
  if (array == nullptr) return true;
  const ArrayType* type = type_of(array, name);
  return type != nullptr && view.read(name, array, *type, *call.owner, call.stream);
}

bool check_weight(const Array& weight, int64_t hidden) {
  const DLTensor& tensor = weight.get();
  if (tensor.ndim == 1 && tensor.shape[0] == hidden) [[likely]]
    return true;
  raise_invalid("weight has the shape %s: [%lld] is needed", ShapeText(tensor).text,
                static_cast<long long>(hidden));
  return false;
}

// False: the error is set.
bool records_gradients(const ArrayType& type, bool& records) {
  if (type.grad_mode != nullptr) [[likely]] {
    records = type.grad_mode();
    return true;
  }
  if (type.grad_enabled == nullptr) return true;
  PyObject* answer = PyObject_CallNoArgs(type.grad_enabled);
  if (answer == nullptr) return false;
  records = answer == Py_True;
  Py_DECREF(answer);
  return true;
}

}  // namespace

// Outputs that were not given: the input's memory, or new memory of the framework.
bool choose_outputs(const FormFacts& form, Call& call) {
  if (call.residual == nullptr &&
      (form.spec.residual == RMSJIT_RESIDUAL_ADD || call.residual_out != nullptr)) {
    raise_invalid("residual is None%s: an array is needed",
                  call.residual_out == nullptr ? "" : " and residual_out is given");
    return false;
  }
  if (call.y == nullptr) {
    if (form.spec.y_placement == RMSJIT_Y_IN_PLACE) {
      call.y = call.x;
    } else {
      call.y = call.made_y = allocate_like(call.x, form.x_name, "out");
      if (call.y == nullptr) return false;
    }
  }
  if (call.residual != nullptr && call.residual_out == nullptr) {
    if (form.spec.residual_placement == RMSJIT_RESIDUAL_IN_PLACE) {
      call.residual_out = call.residual;
    } else {
      call.residual_out = call.made_residual_out =
          allocate_like(call.residual, "residual", "residual_out");
      if (call.residual_out == nullptr) return false;
    }
  }
  return check_writable(call.y, "out") &&
         (call.residual_out == nullptr || check_writable(call.residual_out, "residual_out"));
}

// The output's framework owns the call: its stream is the one that the kernel runs on.
bool read_arrays(const FormFacts& form, Call& call, Views& views) {
  call.owner = type_of(call.y, "out");
  if (call.owner == nullptr) return false;
  const bool exchange = call.owner->exchange != nullptr;
  if (!exchange && !current_stream(*call.owner, 0, &call.stream)) return false;
  const bool given = call.y != call.x && call.made_y == nullptr;
  if (!read_one(given ? "out" : form.x_name, call.y, call, views.y)) return false;
  const int32_t device = views.y.get().device.device_id;
  if (exchange && !current_stream(*call.owner, device, &call.stream)) return false;
  const struct {
    const char* name;
    PyObject* array;
    Array* view;
    PyObject* same_as;  // an output that is the input itself was read with it
  } others[] = {{form.x_name, call.x, &views.x, call.y},
                {"weight", call.weight, &views.weight, nullptr},
                {"residual", call.residual, &views.residual, nullptr},
                {"residual_out", call.residual_out, &views.residual_out, call.residual}};
  for (const auto& [name, array, view, same_as] : others) {
    if (array == nullptr || array == same_as) continue;
    if (!read_one(name, array, call, *view)) return false;
    if (view->get().device.device_id != device) {
      raise_invalid("%s is on device %d and the output on device %d: one device is needed", name,
                    view->get().device.device_id, device);
      return false;
    }
  }
  return true;
}

// Asks once whether gradients are recorded, and if so each tensor whether it takes part.
bool check_autograd(const Call& call) {
  bool records = false;
  if (!records_gradients(*call.owner, records)) return false;
  if (!records) [[likely]]
    return true;
  for (PyObject* array : {call.x, call.weight, call.residual}) {
    if (array == nullptr) continue;
    PyObject* needs = PyObject_GetAttrString(array, "requires_grad");
    if (needs == nullptr) PyErr_Clear();
    const bool takes_part = needs == Py_True;
    Py_XDECREF(needs);
    if (!takes_part) continue;
    PyObject* none = PyObject_CallNoArgs(hooks().grad);  // raises
    Py_XDECREF(none);
    return false;
  }
  return true;
}

// The fields of the spec that the arrays decide, and the pointers.
bool fill(const FormFacts& form, Call& call, const Shaped& shaped, const Array* weight) {
  const DLTensor& x = shaped.x->get();
  rmsjit_spec& spec = call.spec;
  rmsjit_args& args = call.args;
  spec.hidden = x.shape[x.ndim - 1];
  if (!same_shapes(shaped, form.x_name) ||
      (weight != nullptr && !check_weight(*weight, spec.hidden)))
    return false;
  spec.x = shaped.x->dtype();
  spec.y = shaped.y->dtype();
  spec.weight = weight == nullptr ? RMSJIT_NO_WEIGHT : weight->dtype();
  spec.y_placement =
      shaped.y->data() == shaped.x->data() ? RMSJIT_Y_IN_PLACE : RMSJIT_Y_OUT_OF_PLACE;
  args.x = shaped.x->data();
  args.y = shaped.y->data();
  args.weight = weight == nullptr ? nullptr : weight->data();
  spec.residual = shaped.residual == nullptr ? RMSJIT_RESIDUAL_NONE : RMSJIT_RESIDUAL_ADD;
  spec.residual_dtype = RMSJIT_DTYPE_DEFAULT;
  spec.residual_placement = RMSJIT_RESIDUAL_IN_PLACE;
  if (shaped.residual != nullptr) {
    if (shaped.residual->dtype() != shaped.residual_out->dtype()) {
      raise_invalid("residual_out has another dtype than residual: the same is needed");
      return false;
    }
    spec.residual_dtype = shaped.residual->dtype();
    args.residual = shaped.residual->data();
    args.residual_out = shaped.residual_out->data();
    if (args.residual != args.residual_out) spec.residual_placement = RMSJIT_RESIDUAL_OUT_OF_PLACE;
  }
  spec.layout = form.layout != kAnyLayout ? form.layout : x.ndim > 2 ? RMSJIT_HEADS : RMSJIT_ROWS;
  if (place(shaped, spec.layout, args)) [[likely]]
    return true;
  raise_not_collapsible(spec.layout, x.ndim);
  return false;
}

}  // namespace rmsjit::python
