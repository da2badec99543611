#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the host time of an eager call goes, without a device: torch's CPU tensors passed off as
CUDA's (binding_layers/as_cuda.c) over the stub driver, whose launch does nothing.

    LD_LIBRARY_PATH=build/release/tests/stub_driver/driver python3 tests/python/host_profile.py
    ... perf record -e cpu-clock -o FILE python3 tests/python/host_profile.py --only CALL

The forms of a call take turns, each one step more than the one before it; the figure is the least of
the means of short loops, less an empty call. torch's look-up of the current stream is not in it."""

import argparse
import ctypes
import pathlib
import subprocess
import tempfile
import time

import torch
import tvm_ffi.libinfo

import rmsjit
from rmsjit import _forms, _frameworks, _native, errors

HERE = pathlib.Path(__file__).parent / "binding_layers"
LOOP, ROUNDS, EPS = 500, 400, 1e-6


def exchange_capsule(folder):
    library = pathlib.Path(folder, "as_cuda.so")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", HERE / "as_cuda.c", "-o", library,
                    f"-isystem{tvm_ffi.libinfo.find_dlpack_include_path()}"], check=True)
    as_cuda = ctypes.CDLL(str(library)).as_cuda
    get, new = ctypes.pythonapi.PyCapsule_GetPointer, ctypes.pythonapi.PyCapsule_New
    get.argtypes, new.argtypes = [ctypes.py_object, ctypes.c_char_p], [ctypes.c_void_p] * 3
    as_cuda.argtypes, as_cuda.restype = [ctypes.c_void_p], ctypes.c_void_p
    get.restype, new.restype = ctypes.c_void_p, ctypes.py_object
    name = ctypes.create_string_buffer(b"dlpack_exchange_api")
    torchs = get(torch.Tensor.__dlpack_c_exchange_api__, name.value)
    exchange_capsule.keep = name
    return new(as_cuda(torchs), ctypes.addressof(name), None)


def calls():
    x, residual, out = (torch.randn(1, 4096).bfloat16() for _ in range(3))
    weight = torch.randn(4096).bfloat16()
    run, add = _forms.plain["flashinfer"].run, _forms.fused["flashinfer"].run
    return {
        "an empty call": lambda: None,
        "run": lambda: run(x, weight, None, None, out, EPS, None),
        "rmsnorm": lambda: rmsjit.rmsnorm(x, weight, EPS, out),
        "rmsnorm, allocates": lambda: rmsjit.rmsnorm(x, weight, EPS),
        "empty_like alone": lambda: torch.empty_like(x),
        "run, fused add": lambda: add(x, weight, residual, residual, x, EPS, None),
        "fused_add_rmsnorm": lambda: rmsjit.fused_add_rmsnorm(x, residual, weight, EPS),
        "norm": lambda: rmsjit.norm(x, weight, out=out),
    }


def make_context_current():
    """As torch does on a real device; a launch without one lends the kernel's, which costs more."""
    driver, context = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p()
    if (driver.cuInit(0) or driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) or
            driver.cuCtxPushCurrent_v2(context)):
        raise SystemExit("libcuda.so.1 is not the stub driver")


def loop(call):
    begin = time.perf_counter_ns()
    for _ in range(LOOP):
        call()
    return (time.perf_counter_ns() - begin) / LOOP


def main(only):
    make_context_current()
    with tempfile.TemporaryDirectory() as folder:
        facts = list(_frameworks.classify(torch.Tensor, "x"))
        facts[1] = exchange_capsule(folder)
    _native.register({"exceptions": errors.by_code(), "classify": lambda kind, name: tuple(facts),
                      "dispatch": None, "grad": errors.raise_autograd})
    with torch.inference_mode():
        chosen = {name: call for name, call in calls().items() if only in (None, name)}
        least = dict.fromkeys(chosen, float("inf"))
        for _ in range(ROUNDS * (20 if only else 1)):
            for name, call in chosen.items():
                least[name] = min(least[name], loop(call))
    for name, nanoseconds in least.items():
        print(f"{name:20} {nanoseconds - least.get('an empty call', 0):6.0f} ns")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="one call alone, longer")
    main(parser.parse_args().only)
