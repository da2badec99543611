# SPDX-License-Identifier: Apache-2.0
"""The entry point rmsjit in vLLM's group vllm.general_plugins. Untested inside vLLM: written from the
signatures of commit 0135b6c. vLLM loads every plugin that is installed, in each of its processes,
so this one does nothing unless RMSJIT_VLLM=1."""

import importlib
import os

from . import vllm
from .errors import NotFound


def register():
    """Puts rmsjit's norms where vLLM's layers call its CUDA ones (vllm._custom_ops).

    Raises NotFound if this vLLM has no such functions.

    >>> # RMSJIT_VLLM=1 vllm serve ...
    """
    if os.environ.get("RMSJIT_VLLM") != "1":
        return
    ops = importlib.import_module("vllm._custom_ops")
    ours = {"rms_norm": vllm.rms_norm, "fused_add_rms_norm": vllm.fused_add_rms_norm}
    missing = [name for name in ours if not hasattr(ops, name)]
    if missing:
        raise NotFound(f"vllm._custom_ops has no {' and no '.join(missing)}: this vLLM calls its "
                       "norms another way; unset RMSJIT_VLLM")
    vars(ops).update(ours)
