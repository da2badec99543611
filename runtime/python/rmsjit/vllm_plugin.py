# SPDX-License-Identifier: Apache-2.0
"""The entry point rmsjit in vLLM's group vllm.general_plugins. Untested inside vLLM: written from
its sources of mid 2026. vLLM loads every plugin that is installed, in each of its processes and
more than once, so this one does nothing unless RMSJIT_VLLM=1.

A vLLM with vllm.ir gets a provider, which its command line then chooses; an older one has the two
functions of vllm._custom_ops replaced."""

import importlib
import os

from . import vllm
from .errors import NotFound

PROVIDER = "rmsjit"


def register() -> None:
    """Offers rmsjit's norms to vLLM's layers, in the rounding of its CUDA ones.

    Raises NotFound if this vLLM has neither place.

    >>> # RMSJIT_VLLM=1 vllm serve ... --ir-op-priority.rms_norm=rmsjit \\
    >>> #     --ir-op-priority.fused_add_rms_norm=rmsjit
    """
    if os.environ.get("RMSJIT_VLLM") != "1":
        return
    try:
        ops = importlib.import_module("vllm.ir.ops")
    except ModuleNotFoundError:
        _replace()
    else:
        _provide(ops)


def _require(module, *names):
    missing = [name for name in names if not hasattr(module, name)]
    if missing:
        raise NotFound(f"{module.__name__} has no {' and no '.join(missing)}: this vLLM calls its "
                       "norms another way; unset RMSJIT_VLLM")


def _provide(ops):
    """A provider of vLLM's two operators; their schemas are compared with these annotations."""
    import torch
    from torch import Tensor

    _require(ops, "rms_norm", "fused_add_rms_norm")
    if PROVIDER in ops.rms_norm.impls:
        return

    def fits(x, weight, variance_size):
        # What vLLM's own CUDA kernels take: another weight would be another rounding.
        return variance_size is None and (weight is None or weight.dtype == x.dtype)

    def rms_norm(x: Tensor, weight: Tensor | None, epsilon: float,
                 variance_size: int | None = None) -> Tensor:
        out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        vllm.rms_norm(out, x, weight, epsilon)
        return out

    def fused_add_rms_norm(x: Tensor, x_residual: Tensor, weight: Tensor | None, epsilon: float,
                           variance_size: int | None = None) -> tuple[Tensor, Tensor]:
        vllm.fused_add_rms_norm(x, x_residual, weight, epsilon)
        return x, x_residual

    ops.rms_norm.register_impl(
        PROVIDER, supports_args=lambda x, weight, epsilon, variance_size=None:
        fits(x, weight, variance_size))(rms_norm)
    ops.fused_add_rms_norm.register_impl(
        PROVIDER, inplace=True,
        supports_args=lambda x, x_residual, weight, epsilon, variance_size=None:
        fits(x, weight, variance_size))(fused_add_rms_norm)


def _replace():
    ops = importlib.import_module("vllm._custom_ops")
    ours = {"rms_norm": vllm.rms_norm, "fused_add_rms_norm": vllm.fused_add_rms_norm}
    _require(ops, *ours)
    vars(ops).update(ours)
