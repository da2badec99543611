# SPDX-License-Identifier: Apache-2.0
"""SGLang's layers on rmsjit. Untested inside SGLang: written from its layer file of mid 2026."""

import functools
import importlib

from . import _surface
from .errors import NotFound

_LAYERS = "sglang.srt.layers.layernorm"
_NAMES = ("rmsnorm", "fused_add_rmsnorm", "gemma_rmsnorm", "gemma_fused_add_rmsnorm")


def patch() -> list[str]:
    """Replaces the norms that SGLang's layers import by name, in its rounding (profile sglang).

    Call it before a model is built, in each process of the engine. Returns the names that were
    replaced; raises NotFound if there are none.

    >>> rmsjit.sglang.patch()
    """
    layers = importlib.import_module(_LAYERS)
    ours = {name: functools.partial(getattr(_surface, name), like="sglang")
            for name in _NAMES if hasattr(layers, name)}
    if not ours:
        raise NotFound(f"{_LAYERS} has none of {', '.join(_NAMES)}: this SGLang calls its norms "
                       "another way")
    vars(layers).update(ours)
    return sorted(ours)
