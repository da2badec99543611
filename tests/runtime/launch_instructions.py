#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The instructions of a launch, counted under callgrind: the same on a busy machine, so that a
regression shows that no clock would. launch_instructions.py HOST_BENCH VALGRIND"""

import re
import subprocess
import sys

CALLS = 1000
# Of our own, beside the bare driver call, as built by gcc 12 -O3: 197, 261 and 273, and 49 for the
# look-up. A tenth and a little more is left for other compilers.
MOST = {"plain": 225, "add": 300, "qk": 315}
MOST_LOOKUP = 56


def instructions(bench, valgrind, what, shape):
    command = [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null",
               "--toggle-collect=rmsjit_host_bench_calls",
               bench, "count", what, shape, str(CALLS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return int(found.group(1)) / CALLS


def main(bench, valgrind):
    failed = 0
    for shape, most in MOST.items():
        driver, kernel, runtime = (
            instructions(bench, valgrind, what, shape) for what in ("driver", "kernel", "runtime")
        )
        own, lookup = kernel - driver, runtime - kernel
        print(f"{shape:6} bare driver call {driver:4.0f}, kernel.launch {own:4.0f} more "
              f"({kernel / driver:.1f}x, at most {most}), runtime.launch {lookup:3.0f} more than that "
              f"(at most {MOST_LOOKUP})")
        failed += own > most or lookup > MOST_LOOKUP or driver < 5
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
