# SPDX-License-Identifier: Apache-2.0
"""The functions that a model calls. Eager calls go straight to the native part; traced ones
(torch.compile) to the registered operators."""

import sys

from ._forms import Array, Layout, Like, forms, fused, gemma_fused, gemma_plain, plain


def _tracing_before_torch():
    """Whether torch.compile traces this call, for as long as torch is not known to be there."""
    global _tracing
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    if torch.compiler.is_dynamo_compiling():
        return True
    _tracing = torch.compiler.is_dynamo_compiling
    return False


_tracing = _tracing_before_torch


def _traced(*args, **fields):
    from . import _torch_ops

    return _torch_ops.traced(*args, **fields)


def rmsnorm(input: Array, weight: Array | None, eps: float = 1e-6, out: Array | None = None,
            enable_pdl: bool | None = None, *, like: Like = "flashinfer") -> Array:
    """FlashInfer's rmsnorm: ``out = input / sqrt(mean(input**2) + eps) * weight``.

    Shapes: input and out ``[..., hidden]`` of any strides whose last is 1, weight ``[hidden]``.
    Dtypes: bf16, f16 or f32, each array its own. Returns out; without one, a new tensor (profiles
    that normalise in place return input).

    ``enable_pdl``: programmatic dependent launch; None: as the profile says (FlashInfer: on for
    compute capability 9.0 and newer). ``like``: whose rounding and placement.

    Raises InvalidArgument (a shape, dtype, device or overlap), NotPrepared, and what prepare()
    raises on the first call of a key.

    >>> y = rmsjit.rmsnorm(x, weight, 1e-6)
    """
    if _tracing():
        return _traced("plain", like, input, weight, None, None, out, eps, enable_pdl)
    return plain[like].run(input, weight, None, None, out, eps, enable_pdl)


def gemma_rmsnorm(input: Array, weight: Array | None, eps: float = 1e-6, out: Array | None = None,
                  enable_pdl: bool | None = None, *, like: Like = "flashinfer") -> Array:
    """FlashInfer's gemma_rmsnorm: rmsnorm() with ``1 + weight``, added in fp32.

    >>> y = rmsjit.gemma_rmsnorm(x, weight, 1e-6)
    """
    if _tracing():
        return _traced("one_plus", like, input, weight, None, None, out, eps, enable_pdl)
    return gemma_plain[like].run(input, weight, None, None, out, eps, enable_pdl)


def fused_add_rmsnorm(input: Array, residual: Array, weight: Array | None, eps: float = 1e-6,
                      enable_pdl: bool | None = None, *, out: Array | None = None,
                      residual_out: Array | None = None, like: Like = "flashinfer") -> None:
    """FlashInfer's fused_add_rmsnorm: ``residual += input``, then ``input = rmsnorm(residual)``.

    Shapes and dtypes as for rmsnorm(); residual has input's shape, and its dtype or f32. Returns
    None. ``out`` and ``residual_out`` receive the results instead of input and residual.

    >>> rmsjit.fused_add_rmsnorm(x, residual, weight, 1e-6)
    """
    if out is None:
        out = input
    if residual_out is None:
        residual_out = residual
    if _tracing():
        _traced("plain", like, input, weight, residual, residual_out, out, eps, enable_pdl)
        return
    fused[like].run(input, weight, residual, residual_out, out, eps, enable_pdl)


def gemma_fused_add_rmsnorm(input: Array, residual: Array, weight: Array | None,
                            eps: float = 1e-6, enable_pdl: bool | None = None, *,
                            out: Array | None = None, residual_out: Array | None = None,
                            like: Like = "flashinfer") -> None:
    """FlashInfer's gemma_fused_add_rmsnorm: fused_add_rmsnorm() with ``1 + weight``.

    >>> rmsjit.gemma_fused_add_rmsnorm(x, residual, weight, 1e-6)
    """
    if out is None:
        out = input
    if residual_out is None:
        residual_out = residual
    if _tracing():
        _traced("one_plus", like, input, weight, residual, residual_out, out, eps, enable_pdl)
        return
    gemma_fused[like].run(input, weight, residual, residual_out, out, eps, enable_pdl)


def norm(x: Array, weight: Array | None = None, residual: Array | None = None, *,
         out: Array | None = None, residual_out: Array | None = None, eps: float = 1e-6,
         like: Like = "rmsjit", layout: Layout | None = None,
         **fields: str) -> Array | tuple[Array, Array]:
    """The general call: any spec.

    ``h = x [+ residual]``; ``out = h / sqrt(mean(h**2) + eps) * weight``. Without weight the norm
    is weightless. Returns out, or ``(out, residual_out)`` if there is a residual.

    Outputs that are not given go where the profile puts them: into the input's memory or into new
    memory. ``layout``: rows ``[tokens, hidden]`` or heads ``[tokens, heads, hidden]``; None: by
    rank, heads from three dimensions on. ``fields``: spec fields over the profile's:
    ``weight_form, y_placement, residual_placement, add_round, mul_round, root, pdl,
    constant_weight``, with the values of a spec text (``pdl="off"``). ``constant_weight="on"`` is a
    promise that no kernel in flight writes the weight.

    Raises InvalidArgument, NotPrepared, and what prepare() raises on the first call of a key.

    >>> y, h = rmsjit.norm(x, weight, residual, like="hf_llama", eps=1e-5)
    """
    if _tracing():
        form = "one_plus" if fields.get("weight_form") == "one_plus" else "plain"
        return _traced(form, like, x, weight, residual, residual_out, out, eps, None, layout,
                       **fields)
    own = tuple(sorted(fields.items())) if fields else ()
    form = forms[like, residual is not None, own, layout, None]
    return form.run(x, weight, residual, residual_out, out, eps, None)
