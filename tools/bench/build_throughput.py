#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How many keys a second `rmsnorm-aot build` compiles, and how that grows with the number of jobs.

  build_throughput.py --aot build/release/bin/rmsnorm-aot [--sample 64] [--jobs 1,4,16] [--out FILE]

The list is every width of common models (SIZES) x {plain, fused add} x {bf16, f16} x four targets.
Each number of jobs builds the same random sample of it into a new bundle; the whole list is built
once with as many jobs as there are cores (left out with --no-whole). `scaling` is the sample's keys
a second by those of one job; `of_jobs` divides that by the jobs. The whole list has neither: it was
not built with one job (--sample 400 is all of it, with each number). A sample that does not keep
all jobs busy to its end looks worse than the whole list. Needs NVRTC, no GPU.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time

SIZES = (
    64, 128, 192, 256, 512, 896, 1024, 1152, 1536, 2048, 2304, 2560, 2880, 3072, 3584, 3840, 4096,
    4608, 5120, 5376, 6144, 7168, 8192, 12288, 16384,
)  # fmt: skip
TARGETS = ("sm_80", "sm_90", "sm_100", "sm_120")


def whole_list():
    """The spec texts; each is a key for each target."""
    return [
        f"hidden={hidden},x={dtype}{add}"
        for hidden in SIZES
        for dtype in ("bf16", "f16")
        for add in ("", ",residual=add")
    ]


def build(aot, specs, jobs):
    """One measurement of a whole `build` with an empty bundle."""
    keys, before = len(specs) * len(TARGETS), os.times()
    with tempfile.TemporaryDirectory(prefix="rmsjit-build-") as folder:
        listed = os.path.join(folder, "specs")
        with open(listed, "w", encoding="utf-8") as file:
            file.write("\n".join(specs) + "\n")
        command = [aot, "build", "--specs", listed, "--arch", ",".join(TARGETS), "--quiet"]
        command += ["--jobs", str(jobs), "--out", os.path.join(folder, "bundle")]
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - begin
    after = os.times()
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    return {
        "jobs": jobs,
        "keys": keys,
        "seconds": round(seconds, 3),
        "keys_a_second": round(keys / seconds, 3),
        "cpu_ms_a_key": round(1e3 * spent / keys, 1),
    }


def add_scaling(measured):
    """Against one job, where it was measured."""
    one = next((m["keys_a_second"] for m in measured if m["jobs"] == 1), None)
    for m in measured if one else []:
        m["scaling"] = round(m["keys_a_second"] / one, 2)
        m["of_jobs"] = round(m["scaling"] / m["jobs"], 3)


def cores():
    """(those that this process may use, whether two of them can be one core's threads)."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        with open("/sys/devices/system/cpu/smt/active", encoding="ascii") as file:
            return count, file.read().strip() == "1"
    except OSError:
        return count, None


def show(measured, what):
    line = (
        f"{what:<7} {measured['jobs']:3d} jobs {measured['keys']:4d} keys "
        f"{measured['seconds']:8.2f} s {measured['keys_a_second']:8.2f} keys/s "
        f"{measured['cpu_ms_a_key']:7.1f} ms CPU a key"
    )
    if "scaling" in measured:
        line += f"  {measured['scaling']:6.2f}x, {measured['of_jobs']:.3f} of the jobs"
    print(line)


def main(argv=None):
    count, smt = cores()
    powers = [1 << i for i in range(10) if 1 << i < count] + [count]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--aot", required=True, help="path of rmsnorm-aot")
    parser.add_argument("--jobs", default=",".join(map(str, powers)), help="numbers to try")
    parser.add_argument("--sample", type=int, default=64, help="keys of the list, about")
    parser.add_argument("--no-whole", action="store_true", help="not the whole list as well")
    parser.add_argument("--out", help="where the JSON goes")
    args = parser.parse_args(argv)
    specs = whole_list()
    chosen = random.Random(7).sample(specs, max(1, min(len(specs), args.sample // len(TARGETS))))
    try:
        measured = [build(args.aot, chosen, int(jobs)) for jobs in args.jobs.split(",")]
        whole = None if args.no_whole else build(args.aot, specs, count)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"build_throughput: {error}", file=sys.stderr)
        return 1
    add_scaling(measured)
    for each in measured:
        show(each, "sample")
    if whole:
        show(whole, "whole")
    if args.out:
        data = {"schema_version": 1, "cores": count, "smt": smt, "sample": measured, "whole": whole}
        with open(args.out, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
