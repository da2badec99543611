# SPDX-License-Identifier: Apache-2.0
"""vLLM's two norms, with its argument order and rounding (profile vllm_cuda, PDL off)."""

from . import _surface
from ._forms import Array, Like, fused, plain
from ._surface import _traced


def rms_norm(out: Array, input: Array, weight: Array | None, epsilon: float, *,
             like: Like = "vllm_cuda") -> None:
    """vLLM's rms_norm: ``out = input / sqrt(mean(input**2) + epsilon) * weight``.

    Shapes: out and input ``[..., hidden]``, weight ``[hidden]`` or None. Returns None. Raises as
    rmsjit.rmsnorm() does.

    >>> rmsjit.vllm.rms_norm(out, x, weight, 1e-6)
    """
    if _surface._tracing():
        _traced("plain", like, input, weight, None, None, out, epsilon, None)
        return
    plain[like].run(input, weight, None, None, out, epsilon, None)


def fused_add_rms_norm(input: Array, residual: Array, weight: Array | None, epsilon: float, *,
                       like: Like = "vllm_cuda") -> None:
    """vLLM's fused_add_rms_norm: ``residual += input``, then ``input = rms_norm(residual)``.

    Both are written in place. Returns None.

    >>> rmsjit.vllm.fused_add_rms_norm(x, residual, weight, 1e-6)
    """
    if _surface._tracing():
        _traced("plain", like, input, weight, residual, residual, input, epsilon, None)
        return
    fused[like].run(input, weight, residual, residual, input, epsilon, None)
