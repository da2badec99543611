# SPDX-License-Identifier: Apache-2.0
"""The norm as torch operators with exact mutation annotations: what torch.compile, fake and
functional tensors see. Imported when one of those first calls rmsjit, so that the package itself
needs no torch. The string of an operator is the form: profile, layout and spec fields."""

import functools

import torch

from . import _forms, errors

_LIBRARY = torch.library.Library("rmsjit", "DEF")

# name: (schema, which of (x, weight, residual, residual_out, out) the arguments are)
_OPERATORS = {
    "norm": ("(Tensor x, Tensor? weight, float eps, str form) -> Tensor", "xw"),
    "norm_": ("(Tensor(a!) x, Tensor? weight, float eps, str form) -> ()", "xw"),
    "norm_out": ("(Tensor x, Tensor? weight, Tensor(a!) out, float eps, str form) -> ()", "xwo"),
    "add_norm_": ("(Tensor(a!) x, Tensor? weight, Tensor(b!) residual, float eps, str form) -> ()",
                  "xwr"),
    "add_norm_x_": ("(Tensor(a!) x, Tensor? weight, Tensor residual, Tensor(b!) residual_out, "
                    "float eps, str form) -> ()", "xwrs"),
    "add_norm_residual_": ("(Tensor x, Tensor? weight, Tensor(a!) residual, Tensor(b!) out, "
                           "float eps, str form) -> ()", "xwro"),
    "add_norm_out": ("(Tensor x, Tensor? weight, Tensor residual, Tensor(a!) residual_out, "
                     "Tensor(b!) out, float eps, str form) -> ()", "xwrso"),
}
_IN_PLACE = {"norm_", "add_norm_", "add_norm_x_"}


@functools.lru_cache(maxsize=None)
def _form(text):
    fields = _forms.as_fields(text)
    like = fields.pop("like")
    layout = fields.pop("layout", None)
    add = fields.pop("residual", None) is not None
    role = fields.pop("role", None)
    return _forms.forms[like, add, tuple(fields.items()), layout, role]


def _implementation(name, letters):
    def run(*args):
        given = dict(zip(letters, args))
        x, residual = given["x"], given.get("r")
        out = x if name in _IN_PLACE else given.get("o")
        residual_out = given.get("s", residual)
        y = _form(args[-1]).run(x, given["w"], residual, residual_out, out, args[-2], None)
        return y if name == "norm" else None

    return run


def _fake(name, letters):
    def run(*args):
        given = dict(zip(letters, args))
        x, weight = given["x"], given["w"]
        torch._check(weight is None or (weight.dim() == 1 and weight.shape[0] == x.shape[-1]),
                     lambda: "weight: one dimension of x's last size is needed")
        return torch.empty_like(x) if name == "norm" else None

    return run


def _autograd(name):
    def run(keyset, *args):
        if torch.is_grad_enabled() and any(
                isinstance(a, torch.Tensor) and a.requires_grad for a in args):
            errors.raise_autograd()
        operator = getattr(torch.ops.rmsjit, name).default
        with torch._C._AutoDispatchBelowAutograd():
            return operator.redispatch(keyset & torch._C._after_autograd_keyset, *args)

    return run


def _register():
    for name, (schema, letters) in _OPERATORS.items():
        _LIBRARY.define(name + schema, tags=(torch.Tag.pt2_compliant_tag,))
        _LIBRARY.impl(name, _implementation(name, letters), "CUDA")
        _LIBRARY.impl(name, _autograd(name), "Autograd", with_keyset=True)
        torch.library.register_fake(f"rmsjit::{name}", _fake(name, letters), lib=_LIBRARY)


_register()


def _call(form, x, weight, residual, residual_out, out, eps, y_in_place, residual_in_place):
    """The operator whose mutations are exactly those of the call."""
    ops = torch.ops.rmsjit
    if out is None and y_in_place:
        out = x
    if residual is None:
        if out is None:
            return ops.norm(x, weight, eps, form)
        if out is x:
            ops.norm_(x, weight, eps, form)
        else:
            ops.norm_out(x, weight, out, eps, form)
        return out
    if out is None:
        out = torch.empty_like(x)
    if residual_out is None:
        residual_out = residual if residual_in_place else torch.empty_like(residual)
    if out is x and residual_out is residual:
        ops.add_norm_(x, weight, residual, eps, form)
    elif out is x:
        ops.add_norm_x_(x, weight, residual, residual_out, eps, form)
    elif residual_out is residual:
        ops.add_norm_residual_(x, weight, residual, out, eps, form)
    else:
        ops.add_norm_out(x, weight, residual, residual_out, out, eps, form)
    return out, residual_out


def traced(weight_form, like, x, weight, residual, residual_out, out, eps, enable_pdl,
           layout=None, **fields):
    """A call under torch.compile: plain Python that it can trace."""
    add = residual is not None
    y_in_place, residual_in_place = _forms.PLACEMENTS[like, add, weight_form]
    if "y_placement" in fields:
        y_in_place = fields["y_placement"] == "in_place"
    if "residual_placement" in fields:
        residual_in_place = fields["residual_placement"] == "in_place"
    form = f"like={like}"
    if add:
        form += ",residual=add"
    if layout is not None:
        form += f",layout={layout}"
    if weight_form != "plain":
        form += f",weight_form={weight_form}"
    for name in sorted(fields):
        if name != "weight_form":
            form += f",{name}={fields[name]}"
    if enable_pdl is not None:
        form += ",pdl=on" if enable_pdl else ",pdl=off"
    return _call(form, x, weight, residual, residual_out, out, eps, y_in_place, residual_in_place)


def dispatch(form, x, weight, residual, residual_out, out, eps, pdl):
    """An eager call with a tensor that holds no plain memory (fake, functional, a subclass)."""
    like, _, fields, layout, role = _forms.names[form]
    fields = dict(fields)
    if role is not None:
        fields["role"] = role
    weight_form = fields.pop("weight_form", "plain")
    return traced(weight_form, like, x, weight, residual, residual_out, out, eps, pdl, layout,
                  **fields)
