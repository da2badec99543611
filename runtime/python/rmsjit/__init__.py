# SPDX-License-Identifier: Apache-2.0
"""rmsjit: RMSNorm kernels for NVIDIA GPUs, compiled for exactly what is asked, kept on disk, and
launched on the framework's stream into the caller's arrays. Importing it needs neither torch nor
CUDA."""

from . import _frameworks, _native, errors, vllm
from ._forms import Layout, Like
from ._runtime import (configure, keys_for_model, precompile, prepare, seal, spec_text, stats)
from ._surface import (fused_add_rmsnorm, gemma_fused_add_rmsnorm, gemma_rmsnorm, norm, rmsnorm)


def _dispatch(*args):
    from . import _torch_ops

    return _torch_ops.dispatch(*args)


_native.register({"exceptions": errors.by_code(), "classify": _frameworks.classify,
                  "dispatch": _dispatch, "grad": errors.raise_autograd})

__version__ = _native.version()
__all__ = ["Layout", "Like", "configure", "errors", "fused_add_rmsnorm", "gemma_fused_add_rmsnorm",
           "gemma_rmsnorm", "keys_for_model", "norm", "precompile", "prepare", "rmsnorm", "seal",
           "spec_text", "stats", "vllm"]
