# SPDX-License-Identifier: Apache-2.0
"""How long the first call of an implementation takes in a process that has a CUDA context and
nothing else: with empty caches ("cold") and once more with the caches that the first process left
("disk"). `import_ms` is what its package takes to import before that. An absent implementation is
an entry with the reason under `error`.

Run as a program it is the measured process: coldstart.py IMPL HIDDEN, options from the environment.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

IMPLEMENTATIONS = ("rmsjit", "torch", "liger", "inductor", "quack", "flashinfer", "flashinfer_cuda")
PROGRAM = os.path.abspath(__file__)
MARK = "coldstart "  # begins the line that is the answer: packages print as well
LEAST_S = 3  # nothing is begun with less time left
CACHES = (
    "TRITON_CACHE_DIR",
    "TORCHINDUCTOR_CACHE_DIR",
    "QUACK_CACHE_DIR",
    "CUDA_CACHE_PATH",
    "FLASHINFER_WORKSPACE_BASE",
    "CUTE_DSL_CACHE_DIR",
    "RMSJIT_BENCH_WORK",
)


class TimeUp(Exception):
    pass


class Clock:
    """What one process may take: its own limit, and what is left of everybody's."""

    def __init__(self, total_s, most_s):
        self._end, self._most_s = time.monotonic() + total_s, most_s

    def next_s(self):
        left = self._end - time.monotonic()
        if left < LEAST_S:
            raise TimeUp
        return min(left, self._most_s)


def measure(implementations, hidden, options, clock):
    """Yields entries for the results file's `cold` list."""
    for name in implementations:
        with tempfile.TemporaryDirectory(prefix="rmsjit-cold-") as folder:
            environment = {**os.environ, "RMSJIT_COLDSTART": json.dumps(options)}
            for variable in CACHES:
                environment[variable] = os.path.join(folder, variable)
                os.makedirs(environment[variable])
            for route in ("cold", "disk"):
                entry = {"impl": name, "hidden": hidden, "route": route}
                entry.update(_child(name, hidden, environment, clock))
                yield entry
                if "error" in entry:
                    break  # a second process would say the same


def measure_own(program, options, hidden, rounds, clock):
    """The `cold` list of `rmsnorm-bench cold`: our routes beside a raw compile of the source."""
    with tempfile.TemporaryDirectory(prefix="rmsjit-cold-") as folder:
        out = os.path.join(folder, "cold.json")
        command = [program, "cold", "--spec", f"hidden={hidden},x=bf16", "--json", out]
        command += ["--rounds", str(rounds)]
        for name in ("nvrtc", "worker"):
            command += [f"--{name}", options[name]] if options[name] else []
        _, error = _run(command, None, clock)
        if error:
            return [{"impl": "rmsjit", "route": "all", "error": error}]
        with open(out, encoding="utf-8") as file:
            return json.load(file)["cold"]


def _run(command, environment, clock):
    """(standard output, why there is none or None)."""
    try:
        limit_s = clock.next_s()
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except TimeUp:
        return "", "not run: the time was up"
    except subprocess.TimeoutExpired:
        return "", f"not done after {limit_s:.0f} s"
    except OSError as error:
        return "", str(error)
    if done.returncode != 0:
        return "", (done.stderr.strip() or f"ended with status {done.returncode}")[-400:]
    return done.stdout, None


def _child(name, hidden, environment, clock):
    output, error = _run([sys.executable, PROGRAM, name, str(hidden)], environment, clock)
    if error:
        return {"error": error}
    lines = [line for line in output.splitlines() if line.startswith(MARK)]
    return json.loads(lines[-1][len(MARK) :]) if lines else {"error": "no output"}


def main(name, hidden):
    # In the place of this file's folder, whose cuda.py would hide the package of that name.
    sys.path[0] = os.path.dirname(os.path.dirname(PROGRAM))
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
    answer = {}
    with gpu.on_stream():
        sets = tensors.TensorSets(cell, sets=1)
        torch.cuda.synchronize()
        begin = time.perf_counter()
        try:
            adapter = kinds[name](options, gpu)
            imported = time.perf_counter()
            adapter.bind(cell, adapter.variants(cell)[0], sets)(0)
            torch.cuda.synchronize()
            answer = {
                "import_ms": round(1e3 * (imported - begin), 1),
                "ms": round(1e3 * (time.perf_counter() - imported), 1),
            }
        except Exception as error:  # an absent package is an answer
            answer = {"error": f"{type(error).__name__}: {error}"[:400]}
    print("\n" + MARK + json.dumps(answer), flush=True)
    os._exit(0)  # what a package does at its end is not measured, and may not come back


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
