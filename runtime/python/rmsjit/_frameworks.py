# SPDX-License-Identifier: Apache-2.0
"""What each framework's array type can do, told to the native part once a type. A framework is
looked at only if the program itself imported it."""

import sys

from .errors import InvalidArgument

# The numbers are those of native/arrays.h.
EXCHANGE, CAPSULE, READ_ONLY, DISPATCH = range(4)


def _is_a(kind, module, name):
    loaded = sys.modules.get(module)
    base = getattr(loaded, name, None)
    return base is not None and issubclass(kind, base)


def _torch(kind):
    import torch

    # A subclass with a dispatch of its own (fake, functional, distributed) holds no plain memory.
    plain = kind.__torch_dispatch__ is torch.Tensor.__torch_dispatch__
    return (EXCHANGE if plain else DISPATCH,
            getattr(kind, "__dlpack_c_exchange_api__", None),
            lambda: torch.cuda.current_stream().cuda_stream,
            torch.empty_like,
            torch.is_grad_enabled,
            torch.cuda.device)


def _cupy(kind):
    import cupy

    return (EXCHANGE,
            getattr(kind, "__dlpack_c_exchange_api__", None),
            lambda: cupy.cuda.get_current_stream().ptr,
            cupy.empty_like,
            None,
            cupy.cuda.Device)


def classify(kind):
    """(access, exchange table, current stream, allocator, gradients, device guard) of a type."""
    if _is_a(kind, "torch", "Tensor"):
        return _torch(kind)
    if _is_a(kind, "cupy", "ndarray"):
        return _cupy(kind)
    if hasattr(kind, "__dlpack__"):  # JAX and others: inputs only
        return READ_ONLY, None, None, None, None, None
    raise InvalidArgument(
        f"{kind.__module__}.{kind.__qualname__} is no array: torch, CuPy and, for inputs, any other "
        "array with __dlpack__ are allowed")
