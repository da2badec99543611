# SPDX-License-Identifier: Apache-2.0
"""Forms: the part of a spec that the arrays do not tell, resolved from an engine profile and the
fields that a call sets itself. Each distinct one is made once."""

from typing import Literal, Protocol, get_args

from . import _native
from .errors import InvalidArgument

#: Engines whose rounding and placement rmsjit reproduces (tools/profiles/profiles.json).
Like = Literal["rmsjit", "flashinfer", "vllm_cuda", "vllm_native", "sglang", "hf_llama", "hf_gemma"]
Layout = Literal["rows", "heads"]


class Array(Protocol):
    """A torch or CuPy array; for inputs, any other with ``__dlpack__``."""

    def __dlpack__(self, *, stream=None): ...


#: Spec fields that a call may set; the others follow from its arrays.
FIELDS = ("weight_form", "y_placement", "residual_placement", "add_round", "mul_round", "root",
          "pdl", "constant_weight")
_LAYOUTS = {None: -1, "rows": 0, "heads": 1}


def as_fields(text):
    """{"pdl": "auto", ...} of a spec's text."""
    return dict(item.split("=", 1) for item in text.split(",") if item)


def as_text(fields):
    return ",".join(f"{name}={value}" for name, value in fields.items())


def resolve(like, add, fields=(), role=None):
    """The spec fields of a call: the profile's, then the call's own."""
    fields = dict(fields)
    if like not in get_args(Like):
        raise InvalidArgument(f"like={like!r}: {', '.join(get_args(Like))} are allowed")
    for name, value in fields.items():
        if name not in FIELDS:
            raise InvalidArgument(f"{name}={value!r}: a call may set {', '.join(FIELDS)}; the other "
                                  "fields of its spec follow from the arrays")
    base = {"hidden": "1"}
    if add:
        base["residual"] = "add"
    if "weight_form" in fields:
        base["weight_form"] = fields["weight_form"]
    resolved = as_fields(_native.profile_text(like, role, as_text(base)))
    resolved.update(fields)
    return resolved


def _make(like, add, fields, layout, role, x_name="x"):
    if layout not in _LAYOUTS:
        raise InvalidArgument(f"layout={layout!r}: rows and heads are allowed, or None")
    text = as_text(resolve(like, add, fields, role))
    form = _native.Form(text, _LAYOUTS[layout], x_name)
    names[form] = like, add, fields, layout, role
    return form


class _Forms(dict):
    """{(like, add, own fields, layout, role): Form}, made when first asked for."""

    def __missing__(self, key):
        self[key] = form = _make(*key)
        return form


#: The keys of all forms made so far, by form.
names = {}
forms = _Forms()


class _Simple(dict):
    """{like: Form} of a surface whose other fields are fixed."""

    def __init__(self, add, **fields):
        super().__init__()
        self.add = add
        self.fields = tuple(fields.items())

    def __missing__(self, like):
        self[like] = form = _make(like, self.add, self.fields, None, None, "input")
        return form


plain = _Simple(False)
fused = _Simple(True)
gemma_plain = _Simple(False, weight_form="one_plus")
gemma_fused = _Simple(True, weight_form="one_plus")


def _placements():
    """{(like, add, weight_form): (whether y, whether residual_out is in place)}, so that a traced
    call need not ask the native part."""
    table = {}
    for like in get_args(Like):
        for add in (False, True):
            for weight_form in ("plain", "one_plus"):
                fields = resolve(like, add, {"weight_form": weight_form})
                table[like, add, weight_form] = (
                    fields.get("y_placement") == "in_place",
                    fields.get("residual_placement") != "out_of_place")
    return table


PLACEMENTS = _placements()
