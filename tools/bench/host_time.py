#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Host time of one eager call with torch tensors: rmsjit beside every peer that can be imported.

    python3 tools/bench/host_time.py [--flashinfer-module FILE.so] [--torch-op FILE.so] [--out FILE]

Calls are made in bursts short enough that the launch queue never fills, with the device idle at the
start of each burst and no synchronisation inside. All calls take turns, burst by burst, so that a
clock that changes changes all of them; the figure is the median over bursts of the mean of a burst.
`driver` is cuLaunchKernelEx alone, of an empty kernel with as many bytes of arguments, called from
a loop in C: no launch can cost less."""

import argparse
import ctypes
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import torch

BURST = 64
BURSTS = 300
EPS = 1e-6

# One loop for both functions of four pointers: the driver's launch and the C ABI's.
LOOP = """
#include <time.h>
double burst(int (*call)(void*, void*, void*, void*), void* a, void* b, void* c, void* d, int n) {
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (int i = 0; i < n; ++i)
    if (call(a, b, c, d) != 0) return -1;
  clock_gettime(CLOCK_MONOTONIC, &end);
  return ((end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec)) / 1000 / n;
}
"""

# An empty kernel with the argument block of rmsjit's.
ARGUMENT_BYTES = 128
EMPTY = f"""
.version 7.0
.target sm_80
.address_size 64
.visible .entry empty(.param .align 8 .b8 block[{ARGUMENT_BYTES}]) {{ ret; }}
"""


def python_burst(call):
    """Microseconds of one call, in a burst of them."""

    def burst():
        begin = time.perf_counter_ns()
        for _ in range(BURST):
            call()
        return (time.perf_counter_ns() - begin) / BURST / 1000

    return burst


def c_burst(function, *pointers):
    with tempfile.TemporaryDirectory() as folder:
        source, library = pathlib.Path(folder, "burst.c"), pathlib.Path(folder, "burst.so")
        source.write_text(LOOP)
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", source, "-o", library], check=True)
        loop = ctypes.CDLL(str(library)).burst
    loop.restype = ctypes.c_double
    address = ctypes.cast(function, ctypes.c_void_p)

    def burst():
        took = loop(address, *pointers, BURST)
        if took < 0:
            raise RuntimeError("a launch failed")
        return took

    return burst


def driver_calls(x, *_):
    from benchlib import cuda

    driver, module, function = cuda.driver(), ctypes.c_void_p(), ctypes.c_void_p()
    cuda.check(driver.cuModuleLoadData(ctypes.byref(module), EMPTY.encode()), "cuModuleLoadData")
    cuda.check(driver.cuModuleGetFunction(ctypes.byref(function), module, b"empty"), "empty")
    stream = torch.cuda.current_stream().cuda_stream
    block = (ctypes.c_char * ARGUMENT_BYTES)()
    parameters = (ctypes.c_void_p * 1)(ctypes.addressof(block))
    calls = {}
    for name, attributes in {"cuLaunchKernelEx": 0, "cuLaunchKernelEx, PDL": 1}.items():
        overlap = cuda._Attribute(id=cuda.PDL_ATTRIBUTE)
        overlap.value.programmatic_serialization = 1
        config = cuda._Config(1, 1, 1, 512, 1, 1, 0, stream, ctypes.pointer(overlap), attributes)
        calls[name] = c_burst(driver.cuLaunchKernelEx, ctypes.byref(config), function, parameters,
                              None)
        calls[name].keep = (config, overlap, block, parameters)
    return calls


def c_abi_calls(x, residual, weight, out):
    """The launch of the C ABI, from the library that the Python package brings."""
    import rmsjit
    from benchlib import rmsjit_c

    path = pathlib.Path(rmsjit.__file__).parent / "lib"
    library = rmsjit_c.Library(str(next(path.glob("librmsjit.so*"))))
    runtime = rmsjit_c.Runtime(library, "")
    kernel = runtime.prepare(library.parse(f"hidden={x.shape[-1]},x=bf16,pdl=auto"))
    args = rmsjit_c.Args(struct_size=ctypes.sizeof(rmsjit_c.Args), x=x.data_ptr(), y=out.data_ptr(),
                         weight=weight.data_ptr(), tokens=len(x), eps=EPS)
    error, stream = rmsjit_c.Error(), torch.cuda.current_stream().cuda_stream
    burst = c_burst(library.c.rmsjit_kernel_launch, kernel, ctypes.byref(args),
                    ctypes.c_void_p(stream), ctypes.byref(error))
    burst.keep = (runtime, args, error)
    return {"rmsjit_kernel_launch": burst}


def rmsjit_calls(x, residual, weight, out):
    import rmsjit
    from rmsjit import _forms

    run = _forms.plain["flashinfer"].run
    return {
        "rmsnorm, out given": lambda: rmsjit.rmsnorm(x, weight, EPS, out),
        "rmsnorm, out given, no PDL": lambda: rmsjit.rmsnorm(x, weight, EPS, out, False),
        "rmsnorm, allocates": lambda: rmsjit.rmsnorm(x, weight, EPS),
        "fused_add_rmsnorm": lambda: rmsjit.fused_add_rmsnorm(x, residual, weight, EPS),
        "vllm.rms_norm": lambda: rmsjit.vllm.rms_norm(out, x, weight, EPS),
        "norm, out given": lambda: rmsjit.norm(x, weight, out=out),
        "native call alone": lambda: run(x, weight, None, None, out, EPS, None),
    }


def flashinfer_calls(x, residual, weight, out):
    import flashinfer

    return {"rmsnorm, out given": lambda: flashinfer.norm.rmsnorm(x, weight, EPS, out),
            "fused_add_rmsnorm":
                lambda: flashinfer.norm.fused_add_rmsnorm(x, residual, weight, EPS)}


def flashinfer_module_calls(x, residual, weight, out):
    """The functions of FlashInfer's CUDA module, without the Python around them."""
    import tvm_ffi

    module = tvm_ffi.load_module(options.flashinfer_module)
    return {"module.rmsnorm, out given": lambda: module.rmsnorm(out, x, weight, EPS, True),
            "module.fused_add_rmsnorm":
                lambda: module.fused_add_rmsnorm(x, residual, weight, EPS, True)}


def torch_op_calls(x, residual, weight, out):
    """A C++ operator with vLLM's signature, over an empty kernel: binding_layers.py builds it."""
    torch.ops.load_library(options.torch_op)
    op = torch.ops.rmsjit_layers.rms_norm
    return {"C++ op with vLLM's signature": lambda: op(out, x, weight, EPS)}


def quack_calls(x, residual, weight, out):
    from quack import rmsnorm

    return {"rmsnorm, allocates": lambda: rmsnorm(x, weight, eps=EPS)}


def torch_calls(x, residual, weight, out):
    hidden = (x.shape[-1],)
    return {"F.rms_norm, allocates":
                lambda: torch.nn.functional.rms_norm(x, hidden, weight, EPS),
            "empty_like (no kernel)": lambda: torch.empty_like(x),
            "add_ (one small kernel)": lambda: out.add_(1)}


def liger_calls(x, residual, weight, out):
    from liger_kernel.ops.rms_norm import rms_norm_forward

    return {"rms_norm_forward, allocates":
                lambda: rms_norm_forward(x, weight, EPS, 0.0, "llama", None)}


PEERS = {"driver": driver_calls, "rmsjit in C": c_abi_calls, "rmsjit": rmsjit_calls,
         "flashinfer": flashinfer_calls, "flashinfer CUDA": flashinfer_module_calls,
         "quack": quack_calls, "torch": torch_calls, "torch op": torch_op_calls,
         "liger": liger_calls}


def prepare(tensors):
    """{(peer, call): its burst}, each warmed up, and why the others are left out."""
    bursts, left_out = {}, {}
    for peer, calls_of in PEERS.items():
        try:
            for name, call in calls_of(*tensors).items():
                burst = call if hasattr(call, "keep") else python_burst(call)
                burst()
                bursts[peer, name] = burst
        except Exception as error:  # a peer that is not there is no reason to stop
            left_out[peer] = f"{type(error).__name__}: {str(error)[:200]}"
            print(f"{peer:16} left out: {left_out[peer]}")
    return bursts, left_out


def measure(bursts):
    times = {key: [] for key in bursts}
    for _ in range(BURSTS):
        for key, burst in bursts.items():
            torch.cuda.synchronize()
            times[key].append(burst())
    torch.cuda.synchronize()
    return {key: sorted(list_) for key, list_ in times.items()}


def main():
    x, residual, out = (torch.randn(1, options.hidden, device="cuda").bfloat16() for _ in range(3))
    weight = torch.randn(options.hidden, device="cuda").bfloat16()
    results = {"schema_version": 2, "device": torch.cuda.get_device_name(), "calls": [],
               "torch": torch.__version__, "burst": BURST, "hidden": options.hidden}
    with torch.inference_mode():
        bursts, results["left_out"] = prepare((x, residual, weight, out))
        for (peer, name), times in measure(bursts).items():
            median = statistics.median(times)
            results["calls"].append({"peer": peer, "call": name, "median_us": round(median, 3),
                                     "p10_us": round(times[BURSTS // 10], 3),
                                     "p90_us": round(times[BURSTS * 9 // 10], 3)})
            print(f"{peer:16} {name:32} {median:8.2f} us")
    if options.out:
        pathlib.Path(options.out).write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="where the JSON goes")
    parser.add_argument("--hidden", type=int, default=4096)
    parser.add_argument("--flashinfer-module", help="FlashInfer's CUDA norm module, built earlier")
    parser.add_argument("--torch-op", help="the operator that binding_layers.py builds")
    options = parser.parse_args()
    main()
