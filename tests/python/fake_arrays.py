# SPDX-License-Identifier: Apache-2.0
"""Arrays that claim to be on a CUDA device, for tests against the stub driver, which never looks
at their memory."""

import ctypes


class _Device(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("id", ctypes.c_int32)]


class _DType(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class _Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device", _Device), ("ndim", ctypes.c_int32),
                ("dtype", _DType), ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64)]


class _Managed(ctypes.Structure):
    _fields_ = [("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


_DTYPES = {"bf16": (4, 16), "f16": (2, 16), "f32": (2, 32), "f64": (2, 64), "i32": (0, 32)}
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_next_address = 0x10000000


def dense_strides(shape):
    strides, step = [], 1
    for size in reversed(shape):
        strides.insert(0, step)
        step *= size
    return strides


class FakeArray:
    """An array at an address of its own; `at` shares another's."""

    def __init__(self, *shape, dtype="bf16", strides=None, at=None, device=0, cuda=True):
        global _next_address
        if at is None:
            at = _next_address
            _next_address += 0x1000000
        rank = len(shape)
        self._shape = (ctypes.c_int64 * rank)(*shape)
        self._strides = (ctypes.c_int64 * rank)(*(strides or dense_strides(shape)))
        code, bits = _DTYPES[dtype]
        self.at = at
        self.streams = []
        self._managed = _Managed(_Tensor(at, _Device(2 if cuda else 1, device), rank,
                                         _DType(code, bits, 1), self._shape, self._strides, 0),
                                 None, None)

    def __dlpack__(self, stream=None):
        self.streams.append(stream)
        return _new_capsule(ctypes.addressof(self._managed), b"dltensor", None)


class ImmutableArray(FakeArray):
    """As JAX's: may only be read."""
