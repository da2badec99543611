#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Host time of one call with three torch tensors through each binding layer that kernels of the
ecosystem use, with nothing behind it: what the layer itself costs. Needs torch, nanobind,
apache-tvm-ffi, their headers and a compiler; no device.

    python3 binding_layers.py [--out FILE.json]
    python3 binding_layers.py --torch-op FILE.so   # only builds the operator of host_time.py

The layers take turns; the figure is the least of the means of short loops, less an empty call."""

import argparse
import importlib.metadata
import json
import pathlib
import subprocess
import sys
import sysconfig
import tempfile
import time

import torch
import torch.utils.cpp_extension as extension

HERE = pathlib.Path(__file__).parent / "binding_layers"
LOOP, ROUNDS = 500, 400


def compile_layer(name, target, *flags):
    torch_flags = [f"-isystem{p}" for p in extension.include_paths()]
    torch_flags += ["-L" + p for p in extension.library_paths()]
    subprocess.run(["c++", "-std=c++20", "-O3", "-DNDEBUG", "-fPIC", "-shared", "-Wno-attributes",
                    "-fvisibility=hidden", HERE / f"{name}.cc", *flags, *torch_flags, "-o", target],
                   check=True)
    return str(target)


def build_torch_op(target):
    cuda = "/usr/local/cuda/include"
    compile_layer("layer_torch", target, "-DLAYER_LAUNCHES", f"-isystem{cuda}", "-lc10",
                  "-lc10_cuda", "-ltorch_cpu", "-ltorch_cuda")


def import_from(folder, name):
    sys.path.insert(0, str(folder))
    return __import__(name)


def layers(folder, out, x, weight):
    import nanobind
    import tvm_ffi
    from tvm_ffi import libinfo

    python = f"-isystem{sysconfig.get_path('include')}"
    root = pathlib.Path(nanobind.include_dir())
    compile_layer("layer_c_api", folder / "layer_c_api.abi3.so", python,
                  "-DPy_LIMITED_API=0x030A0000",
                  f"-isystem{libinfo.find_dlpack_include_path()}")
    compile_layer("layer_nanobind", folder / "layer_nanobind.so", python, f"-isystem{root}",
                  f"-isystem{root.parent}/ext/robin_map/include",
                  root.parent / "src/nb_combined.cpp", "-fno-strict-aliasing")
    compile_layer("layer_tvm_ffi", folder / "layer_tvm_ffi.so",
                  f"-isystem{libinfo.find_include_path()}",
                  f"-isystem{libinfo.find_dlpack_include_path()}")
    for name in ("layer_torch", "layer_torch_stable"):
        torch.ops.load_library(compile_layer(name, folder / f"{name}.so", "-lc10", "-ltorch_cpu"))
    c_api, nano = import_from(folder, "layer_c_api"), import_from(folder, "layer_nanobind")
    c_api.use(torch.Tensor.__dlpack_c_exchange_api__)
    ffi = tvm_ffi.load_module(str(folder / "layer_tvm_ffi.so")).rms_norm
    plain, stable = torch.ops.rmsjit_layers.rms_norm, torch.ops.rmsjit_stable_layer.rms_norm
    direct = stable.default
    c_call, nano_call = c_api.rms_norm, nano.rms_norm
    return {"empty": lambda: None,
            "limited C API, exchange table": lambda: c_call(out, x, weight, 1e-6),
            "apache-tvm-ffi": lambda: ffi(out, x, weight, 1e-6),
            "nanobind ndarray": lambda: nano_call(out, x, weight, 1e-6, 0),
            "torch operator (C++)": lambda: plain(out, x, weight, 1e-6),
            "torch operator (stable ABI)": lambda: stable(out, x, weight, 1e-6),
            "torch operator (stable ABI), .default": lambda: direct(out, x, weight, 1e-6)}


def measure(calls):
    least = dict.fromkeys(calls, float("inf"))
    for call in calls.values():
        call()
    for _ in range(ROUNDS):
        for name, call in calls.items():
            begin = time.perf_counter_ns()
            for _ in range(LOOP):
                call()
            least[name] = min(least[name], (time.perf_counter_ns() - begin) / LOOP)
    empty = least.pop("empty")
    return {name: round(ns - empty) for name, ns in least.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="where the JSON goes")
    parser.add_argument("--torch-op", help="build this operator and stop")
    options = parser.parse_args()
    if options.torch_op:
        return build_torch_op(options.torch_op)
    out, x = torch.empty(2, 4096, dtype=torch.bfloat16), torch.randn(2, 4096).bfloat16()
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        least = measure(layers(pathlib.Path(folder), out, x, torch.randn(4096).bfloat16()))
    packages = ("torch", "nanobind", "apache-tvm-ffi")
    results = {"schema_version": 1, "python": sys.version.split()[0], "ns_a_call": least,
               "versions": {name: importlib.metadata.version(name) for name in packages}}
    print(json.dumps(results, indent=1))
    if options.out:
        pathlib.Path(options.out).write_text(json.dumps(results, indent=1), encoding="utf-8")
    return None


if __name__ == "__main__":
    sys.exit(main())
