# SPDX-License-Identifier: Apache-2.0
"""What each framework's array type can do, told to the native part once a type. A framework is
looked at only if the program itself imported it."""

import ctypes
import pathlib
import sys

from .errors import InvalidArgument

# The numbers are those of native/arrays.h.
EXCHANGE, CAPSULE, READ_ONLY, DISPATCH = range(4)


def _is_a(kind, module, name):
    loaded = sys.modules.get(module)
    base = getattr(loaded, name, None)
    return base is not None and issubclass(kind, base)


def _grad_mode(torch):
    """The address of torch's stable C function that is torch.is_grad_enabled(), or None."""
    try:
        library = ctypes.CDLL(pathlib.Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")
        return ctypes.cast(library.aoti_torch_grad_mode_is_enabled, ctypes.c_void_p).value
    except (OSError, AttributeError):  # a torch before it, or built otherwise
        return None


def _torch(kind):
    import torch

    # A subclass with a dispatch of its own (fake, functional, distributed) holds no plain memory.
    plain = kind.__torch_dispatch__ is torch.Tensor.__torch_dispatch__
    return (EXCHANGE if plain else DISPATCH,
            getattr(kind, "__dlpack_c_exchange_api__", None),
            lambda: torch.cuda.current_stream().cuda_stream,
            torch.empty_like,
            torch.is_grad_enabled,
            torch.cuda.device,
            _grad_mode(torch))


def _cupy(kind):
    import cupy

    return (EXCHANGE,
            getattr(kind, "__dlpack_c_exchange_api__", None),
            lambda: cupy.cuda.get_current_stream().ptr,
            cupy.empty_like,
            None,
            cupy.cuda.Device,
            None)


def classify(kind, name):
    """(access, exchange table, current stream, allocator, gradients, device guard, gradients in C)
    of the type of the argument `name`."""
    if _is_a(kind, "torch", "Tensor"):
        return _torch(kind)
    if _is_a(kind, "cupy", "ndarray"):
        return _cupy(kind)
    if hasattr(kind, "__dlpack__"):  # JAX and others: inputs only
        return READ_ONLY, None, None, None, None, None, None
    raise InvalidArgument(
        f"{name} is a {kind}, which is no array: torch, CuPy and, for inputs, any other array with "
        "__dlpack__ are allowed")
