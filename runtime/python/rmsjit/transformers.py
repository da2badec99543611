# SPDX-License-Identifier: Apache-2.0
"""Transformers models on rmsjit's kernels: patch_model() takes over the RMSNorm modules of a model
and fuses the residual adds of its decoder blocks.

Nothing is taken over by its name. A norm is if its class computes one of two known formulas bit for
bit on a small example, a block if the original and the rewritten forward agree bit for bit around
stand-ins for its parts. What does not agree stays as it is and is reported."""

import copy
from dataclasses import dataclass, field

import torch
from torch import nn

from . import _blocks, _forms, _surface
from ._runtime import spec_text
from .errors import InvalidArgument

_DTYPES = {torch.bfloat16: "bf16", torch.float16: "f16", torch.float32: "f32"}


@dataclass
class Patched:
    """What patch_model() did: the names of the modules, the specs that they ask for (what
    prepare() takes), and why each RMSNorm that was left was left."""

    norms: list = field(default_factory=list)
    blocks: list = field(default_factory=list)
    specs: list = field(default_factory=list)
    left: dict = field(default_factory=dict)


# The formulas of transformers: LlamaRMSNorm and its copies, Gemma3RMSNorm and its copies.
def _llama(x, weight, eps):
    f = x.float()
    return weight * (f * torch.rsqrt(f.pow(2).mean(-1, keepdim=True) + eps)).to(x.dtype)


def _gemma(x, weight, eps):
    f = x.float()
    f = f * torch.rsqrt(f.pow(2).mean(-1, keepdim=True) + eps) * (1.0 + weight.float())
    return f.to(x.dtype)


_FORMULAS = {"hf_llama": _llama, "hf_gemma": _gemma}


def _eps(module):
    for name in ("variance_epsilon", "eps"):
        value = getattr(module, name, None)
        if isinstance(value, float):
            return value
    return None


@torch.no_grad()
def _profile(module):
    """The profile whose formula the module's class computes, or None."""
    stand_in = copy.copy(module)
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(shape, generator=generator).bfloat16() for shape in ((16, 64), (64,)))
    stand_in._parameters = {"weight": nn.Parameter(weight, requires_grad=False)}
    try:
        y = type(module).forward(stand_in, x)
    except Exception:  # a class that calls for more is none of the known ones
        return None
    for like, formula in _FORMULAS.items():
        if torch.equal(y, formula(x, weight, _eps(module))):
            return like
    return None


class _Norm:
    """The forward of a norm that was taken over. With a residual: (norm of the sum, the sum)."""

    def forward(self, x, residual=None):
        pending = isinstance(x, _blocks.Pending)
        if pending:
            x, residual = x.x, x.residual
        # Attention may hand over [batch, heads, tokens, hidden]: a view of the other order.
        swapped = self._rmsjit_layout == "heads" and x.dim() == 4 and x.stride(1) < x.stride(2)
        if swapped:
            x = x.transpose(1, 2)
        y = self._rmsjit_norm(x, residual)
        if residual is not None:
            return y[0] if pending else y
        return y.transpose(1, 2) if swapped else y

    def _rmsjit_norm(self, x, residual):
        if _surface._tracing():
            form = "one_plus" if self._rmsjit_one_plus else "plain"
            return _surface._traced(form, self._rmsjit_like, x, self.weight, residual, None, None,
                                    self._rmsjit_eps, None, self._rmsjit_layout)
        form = self._rmsjit_forms[residual is not None]
        return form.run(x, self.weight, residual, None, None, self._rmsjit_eps, None)


def _take_over(name, module, like):
    fields = {"weight_form": "one_plus"} if like == "hf_gemma" else {}
    # Norms of query and key see heads. Their key needs a name: no tensor has come yet.
    layout = "heads" if name.endswith(("q_norm", "k_norm")) else "rows"
    module._rmsjit_like, module._rmsjit_one_plus = like, bool(fields)
    module._rmsjit_layout, module._rmsjit_eps = layout, _eps(module)
    module._rmsjit_forms = tuple(_forms.forms[like, add, tuple(fields.items()), layout, None]
                                 for add in (False, True))
    _blocks.become(module, _Norm)


def _spec(norm, add):
    """The key that a norm asks for."""
    fields = {"weight_form": "one_plus"} if norm._rmsjit_one_plus else {}
    fields = _forms.resolve(norm._rmsjit_like, add, fields)
    fields.update(hidden=norm.weight.shape[0], x=_DTYPES[norm.weight.dtype],
                  layout=norm._rmsjit_layout)
    return spec_text(_forms.as_text(fields))


def patch_model(model, *, fuse: bool = True):
    """Replaces every RMSNorm of a transformers model by rmsjit's kernel, in place, and fuses the
    residual adds of decoder blocks that stand in a stack under a final norm.

    The model has its final dtype (bf16, f16, f32) and runs on a CUDA device, without gradients.
    ``fuse=False``: only the norms. Returns Patched: ``norms``, ``blocks``, ``specs`` for prepare(),
    and ``left``, the norms that stay and why. Raises InvalidArgument if none could be taken over.

    >>> patched = rmsjit.transformers.patch_model(model)
    >>> rmsjit.prepare(patched.specs)
    """
    patched = Patched()
    taken = {}
    dtype = next(model.parameters()).dtype
    for name, module in model.named_modules():
        if not type(module).__name__.endswith("RMSNorm") or isinstance(module, _Norm):
            continue
        weight = getattr(module, "weight", None)
        flat = isinstance(weight, nn.Parameter) and weight.dim() == 1
        like = _profile(module) if flat and _eps(module) is not None else None
        if like is None:
            patched.left[name] = f"{type(module).__name__} computes none of the known formulas"
        elif weight.dtype != dtype or dtype not in _DTYPES:
            patched.left[name] = f"its weight is {weight.dtype} in a model of {dtype}"
        else:
            _take_over(name, module, like)
            taken[module] = name
    if not taken:
        raise InvalidArgument(f"no RMSNorm of {type(model).__name__} could be taken over: "
                              f"{patched.left or 'it has none that is not patched already'}")
    blocks, adding, only_adding = _blocks.fuse(model, taken) if fuse else ({}, set(), set())
    patched.norms, patched.blocks = list(taken.values()), list(blocks)
    specs = [_spec(norm, False) for norm in taken if norm not in only_adding]
    specs += [_spec(norm, True) for norm in taken if norm in adding]
    patched.specs = list(dict.fromkeys(specs))
    return patched
