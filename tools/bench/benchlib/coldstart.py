# SPDX-License-Identifier: Apache-2.0
"""How long the first call of an implementation takes in a process that has a CUDA context and
nothing else: with empty caches ("cold") and once more with the caches that the first process left
("disk"). `import_ms` is what its package takes to import before that.

Run as a program it is the measured process: coldstart.py IMPL HIDDEN, options from the environment.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

IMPLEMENTATIONS = ("rmsjit", "torch", "liger", "inductor", "quack", "flashinfer", "flashinfer_cuda")
CACHES = (
    "TRITON_CACHE_DIR",
    "TORCHINDUCTOR_CACHE_DIR",
    "QUACK_CACHE_DIR",
    "CUDA_CACHE_PATH",
    "FLASHINFER_WORKSPACE_BASE",
    "CUTE_DSL_CACHE_DIR",
    "RMSJIT_BENCH_WORK",
)


def measure(implementations, hidden, options, timeout=240):
    """Entries for the results file's `cold` list."""
    out = []
    for name in implementations:
        with tempfile.TemporaryDirectory(prefix="rmsjit-cold-") as folder:
            environment = {**os.environ, "RMSJIT_COLDSTART": json.dumps(options)}
            for variable in CACHES:
                environment[variable] = os.path.join(folder, variable)
                os.makedirs(environment[variable])
            for state in ("cold", "disk"):
                out.append(
                    {
                        "impl": name,
                        "hidden": hidden,
                        "route": state,
                        **_child(name, hidden, environment, timeout),
                    }
                )
    return out


def measure_own(program, options, hidden):
    """The `cold` list of `rmsnorm-bench cold`: our routes beside a raw compile of the same source."""
    with tempfile.TemporaryDirectory(prefix="rmsjit-cold-") as folder:
        out = os.path.join(folder, "cold.json")
        command = [program, "cold", "--spec", f"hidden={hidden},x=bf16", "--json", out]
        for name in ("nvrtc", "worker"):
            command += [f"--{name}", options[name]] if options[name] else []
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode != 0:
            return [{"impl": "rmsjit", "route": "all", "error": done.stderr.strip()[-400:]}]
        with open(out, encoding="utf-8") as file:
            return json.load(file)["cold"]


def _child(name, hidden, environment, timeout):
    command = [sys.executable, os.path.abspath(__file__), name, str(hidden)]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {timeout} s"}
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        return {"error": (done.stderr or "no output").strip()[-400:]}
    return json.loads(lines[-1])


def main(name, hidden):
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    import types

    import torch

    from benchlib import cuda, device, flashinfer_peers, grid, ours, peers, tensors

    kinds = {
        k.name: k
        for k in (
            ours.Rmsjit,
            peers.Torch,
            peers.Liger,
            peers.Inductor,
            peers.Quack,
            flashinfer_peers.FlashInfer,
            flashinfer_peers.FlashInferCuda,
        )
    }
    options = types.SimpleNamespace(**json.loads(os.environ["RMSJIT_COLDSTART"]))
    options.work_dir = os.environ["RMSJIT_BENCH_WORK"]
    options.cache_dir = os.path.join(options.work_dir, "rmsjit-cache")
    options.nvrtc = cuda.find_nvrtc(options.nvrtc)
    gpu = device.Device()
    cell = grid.Cell("rmsnorm", "bf16", hidden, 16)
    with gpu.on_stream():
        sets = tensors.TensorSets(cell, sets=1)
        torch.cuda.synchronize()
        begin = time.perf_counter()
        adapter = kinds[name](options, gpu)
        imported = time.perf_counter()
        adapter.bind(cell, adapter.variants(cell)[0], sets)(0)
        torch.cuda.synchronize()
        end = time.perf_counter()
    print(
        json.dumps(
            {
                "import_ms": round(1e3 * (imported - begin), 1),
                "ms": round(1e3 * (end - imported), 1),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
