// SPDX-License-Identifier: Apache-2.0
// Form: the part of a spec that no array tells (rounding, placement, pdl, ...), and run(), which is
// one call of the norm: look at the arrays, fill spec and arguments, launch on the framework's
// stream. run() keeps the GIL for a prepared kernel and gives it up where it has to prepare.
#include "runtime/python/native/call.h"

namespace rmsjit::python {
namespace {

struct Form {
  PyObject_HEAD FormFacts facts;
};

PyObject* present(PyObject* given) { return given == Py_None ? nullptr : given; }

// Whether every array may be read here; false: the error is set.
bool is_plain(const FormFacts& form, const Call& call, bool& plain) {
  const struct {
    const char* name;
    PyObject* array;
  } operands[] = {{form.x_name, call.x},
                  {"weight", call.weight},
                  {"residual", call.residual},
                  {"residual_out", call.residual_out},
                  {"out", call.y}};
  for (const auto& [name, array] : operands) {
    if (array == nullptr) continue;
    const ArrayType* type = type_of(array, name);
    if (type == nullptr) return false;
    if (type->access == Access::kDispatch) plain = false;
  }
  return true;
}

bool set_pdl(PyObject* given, rmsjit_spec& spec) {
  if (given == Py_None) return true;
  if (!PyLong_Check(given)) {  // a bool is one
    PyErr_Format(PyExc_TypeError, "enable_pdl is a %R: True, False and None are allowed",
                 Py_TYPE(given));
    return false;
  }
  const int on = PyObject_IsTrue(given);
  spec.pdl = on != 0 ? RMSJIT_PDL_ON : RMSJIT_PDL_OFF;
  return true;
}

// y, or (y, residual_out) for a fused add; new references.
PyObject* outputs(const Call& call) {
  if (call.residual == nullptr) {
    Py_INCREF(call.y);
    return call.y;
  }
  return PyTuple_Pack(2, call.y, call.residual_out);
}

PyObject* run_plain(const FormFacts& form, Call& call) {
  if (!choose_outputs(form, call)) return nullptr;
  Views views;
  if (!read_arrays(form, call, views)) return nullptr;
  if (!check_autograd(call)) return nullptr;
  Shaped shaped;
  shaped.y = &views.y;
  shaped.x = call.x == call.y ? &views.y : &views.x;
  if (call.residual != nullptr) {
    shaped.residual = &views.residual;
    shaped.residual_out =
        call.residual_out == call.residual ? &views.residual : &views.residual_out;
  }
  if (!fill(form, call, shaped, call.weight == nullptr ? nullptr : &views.weight)) return nullptr;
  return launch(form, call, shaped) ? outputs(call) : nullptr;
}

// run(x, weight, residual, residual_out, out, eps, pdl)
PyObject* run(PyObject* self, PyObject* const* given, Py_ssize_t count) {
  if (count != 7) return PyErr_Format(PyExc_TypeError, "run takes 7 arguments, given %zd", count);
  const FormFacts& form = reinterpret_cast<Form*>(self)->facts;
  Call call{.x = given[0],
            .weight = present(given[1]),
            .residual = present(given[2]),
            .residual_out = present(given[3]),
            .y = present(given[4]),
            .spec = form.spec,
            .args = {}};
  call.args.struct_size = sizeof call.args;
  const double eps = PyFloat_AsDouble(given[5]);
  if (eps == -1.0 && PyErr_Occurred() != nullptr) {
    return PyErr_Format(PyExc_TypeError, "eps is a %R: a number is needed", Py_TYPE(given[5]));
  }
  call.args.eps = static_cast<float>(eps);
  bool plain = true;
  if (!set_pdl(given[6], call.spec) || !is_plain(form, call, plain)) return nullptr;
  if (plain) [[likely]]
    return run_plain(form, call);
  return PyObject_CallFunctionObjArgs(hooks().dispatch, self, given[0], given[1], given[2],
                                      given[3], given[4], given[5], given[6], nullptr);
}

// Form(text, layout, x_name): the spec's text without hidden and dtypes; layout -1 lets the rank
// decide.
PyObject* make(PyTypeObject* type, PyObject* args, PyObject*) {
  const char* text = nullptr;
  const char* x_name = "x";
  int layout = kAnyLayout;
  if (!PyArg_ParseTuple(args, "s|is", &text, &layout, &x_name)) return nullptr;
  rmsjit_error error;
  rmsjit_spec spec{};
  spec.struct_size = sizeof spec;
  if (rmsjit_spec_parse(text, &spec, &error) != RMSJIT_OK) {
    raise(error);
    return nullptr;
  }
  auto* allocate = reinterpret_cast<allocfunc>(PyType_GetSlot(type, Py_tp_alloc));
  PyObject* self = allocate(type, 0);
  if (self == nullptr) return nullptr;
  FormFacts& facts = reinterpret_cast<Form*>(self)->facts;
  facts = {spec, layout, {}};
  PyOS_snprintf(facts.x_name, sizeof facts.x_name, "%s", x_name);
  return self;
}

PyMethodDef methods[] = {{"run", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(run)),
                          METH_FASTCALL, "run(x, weight, residual, residual_out, out, eps, pdl)"},
                         {}};
PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(make)}, {Py_tp_methods, methods}, {0, nullptr}};
PyType_Spec form_spec = {"rmsjit._native.Form", sizeof(Form), 0, Py_TPFLAGS_DEFAULT, slots};

}  // namespace

PyObject* make_form_type(PyObject*) { return PyType_FromSpec(&form_spec); }

}  // namespace rmsjit::python
