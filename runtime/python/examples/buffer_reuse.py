#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A decode loop over all norms of Llama 3.1 8B with every output preset by the caller: no device
allocation after the start, beside the same loop that lets the framework allocate.

    python3 buffer_reuse.py [--out FILE.json] [--rows 16]"""

import argparse
import json
import pathlib
import time

import torch

import rmsjit

LAYERS, HIDDEN, STEPS = 32, 4096, 200


def preset(x, residual, sums, y, weights):
    rmsjit.norm(x, weights[0], out=y)
    for i, weight in enumerate(weights[1:]):
        rmsjit.norm(y, weight, residual if i == 0 else sums, residual_out=sums, out=y)
    return y


def allocating(x, residual, sums, y, weights):
    y = rmsjit.norm(x, weights[0])
    for weight in weights[1:]:
        y, residual = rmsjit.norm(y, weight, residual, residual_placement="out_of_place")
    return y


def measure(loop, *buffers):
    loop(*buffers)
    torch.cuda.synchronize()
    before = torch.cuda.memory_stats()["allocation.all.allocated"]
    begin = time.perf_counter()
    for _ in range(STEPS):
        y = loop(*buffers)
    torch.cuda.synchronize()
    took = time.perf_counter() - begin
    after = torch.cuda.memory_stats()["allocation.all.allocated"]
    return y, {"allocations": after - before, "us_per_step": round(took / STEPS * 1e6, 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="where the JSON goes")
    parser.add_argument("--rows", type=int, default=16)
    options = parser.parse_args()
    shape = (options.rows, HIDDEN)
    x, residual = (torch.randn(shape, device="cuda").bfloat16() for _ in range(2))
    sums, y = torch.empty_like(x), torch.empty_like(x)
    weights = [torch.randn(HIDDEN, device="cuda").bfloat16() for _ in range(1 + 2 * LAYERS)]
    buffers = (x, residual, sums, y, weights)
    with torch.inference_mode():
        ours, with_buffers = measure(preset, *buffers)
        theirs, without = measure(allocating, *buffers)
    same = torch.equal(ours, theirs)
    results = {"schema_version": 1, "device": torch.cuda.get_device_name(), "rows": options.rows,
               "norms_per_step": len(weights), "steps": STEPS, "same_bits": same,
               "preset": with_buffers, "allocating": without}
    print(json.dumps(results, indent=1))
    if options.out:
        pathlib.Path(options.out).write_text(json.dumps(results, indent=1))
    return 0 if same and with_buffers["allocations"] == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
