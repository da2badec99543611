#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Host time of one eager call with torch tensors: rmsjit beside every peer that can be imported.

    python3 tools/bench/host_time.py [--out FILE.json]

Calls are made in bursts short enough that the launch queue never fills, with the device idle at the
start of each burst; the figure is the median over bursts of the mean of a burst. `no rows` is the
same call with nothing to launch: everything but the driver's launch."""

import argparse
import json
import statistics
import time

import torch

BURST = 64
BURSTS = 400


def microseconds(call):
    for _ in range(BURST):
        call()
    times = []
    for _ in range(BURSTS):
        torch.cuda.synchronize()
        begin = time.perf_counter_ns()
        for _ in range(BURST):
            call()
        times.append((time.perf_counter_ns() - begin) / BURST / 1000)
    torch.cuda.synchronize()
    times.sort()
    return {"median_us": round(statistics.median(times), 3), "p10_us": round(times[BURSTS // 10], 3),
            "p90_us": round(times[BURSTS * 9 // 10], 3)}


def rmsjit_calls(x, residual, weight, out):
    import rmsjit
    from rmsjit import _forms

    none = x[:0]
    run = _forms.plain["flashinfer"].run
    return {
        "rmsnorm, out given": lambda: rmsjit.rmsnorm(x, weight, 1e-6, out),
        "rmsnorm, allocates": lambda: rmsjit.rmsnorm(x, weight, 1e-6),
        "fused_add_rmsnorm": lambda: rmsjit.fused_add_rmsnorm(x, residual, weight, 1e-6),
        "vllm.rms_norm": lambda: rmsjit.vllm.rms_norm(out, x, weight, 1e-6),
        "norm, out given": lambda: rmsjit.norm(x, weight, out=out),
        "native call alone": lambda: run(x, weight, None, None, out, 1e-6, None),
        "rmsnorm, no rows": lambda: rmsjit.rmsnorm(none, weight, 1e-6, none),
        "fused_add_rmsnorm, no rows":
            lambda: rmsjit.fused_add_rmsnorm(none, none, weight, 1e-6),
    }


def flashinfer_calls(x, residual, weight, out):
    import flashinfer

    return {"rmsnorm, out given": lambda: flashinfer.norm.rmsnorm(x, weight, 1e-6, out),
            "fused_add_rmsnorm":
                lambda: flashinfer.norm.fused_add_rmsnorm(x, residual, weight, 1e-6)}


def quack_calls(x, residual, weight, out):
    from quack import rmsnorm

    return {"rmsnorm, allocates": lambda: rmsnorm(x, weight, eps=1e-6)}


def torch_calls(x, residual, weight, out):
    hidden = (x.shape[-1],)
    return {"F.rms_norm, allocates":
                lambda: torch.nn.functional.rms_norm(x, hidden, weight, 1e-6),
            "add_ (one small kernel)": lambda: out.add_(1)}


def liger_calls(x, residual, weight, out):
    from liger_kernel.ops.rms_norm import rms_norm_forward

    return {"rms_norm_forward, allocates":
                lambda: rms_norm_forward(x, weight, 1e-6, 0.0, "llama", False, None)}


PEERS = {"rmsjit": rmsjit_calls, "flashinfer": flashinfer_calls, "quack": quack_calls,
         "torch": torch_calls, "liger": liger_calls}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="where the JSON goes")
    parser.add_argument("--hidden", type=int, default=4096)
    options = parser.parse_args()
    x, residual, out = (torch.randn(1, options.hidden, device="cuda").bfloat16() for _ in range(3))
    weight = torch.randn(options.hidden, device="cuda").bfloat16()
    results = {"schema_version": 1, "device": torch.cuda.get_device_name(),
               "torch": torch.__version__, "burst": BURST, "hidden": options.hidden, "calls": []}
    with torch.inference_mode():
        for peer, calls_of in PEERS.items():
            try:
                calls = calls_of(x, residual, weight, out)
                for name, call in calls.items():
                    measured = microseconds(call)
                    results["calls"].append({"peer": peer, "call": name, **measured})
                    print(f"{peer:12} {name:32} {measured['median_us']:8.2f} us")
            except Exception as error:  # a peer that is not there is no reason to stop
                print(f"{peer:12} left out: {type(error).__name__}: {str(error)[:200]}")
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
