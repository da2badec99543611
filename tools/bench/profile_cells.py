#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Profiles cells of a results file under Nsight Compute: ours with PDL off and on, the copy, both
floors, and the peers that were fastest there without PDL and at all, one launch each.

  profile_cells.py results.json --cells cells.txt --rmsjit build/lib/librmsjit.so --out out.json

Prints a table and writes the same as JSON, one kernel a line, with the time that the results file
has beside ncu's own. ncu serialises kernels: a launch with PDL shows its plan, not its overlap. The
caches are emptied before each pass for a cold cell, and left as the passes before left them for
a warm one. Exit status: 0 all jobs profiled, 1 some failed, 2 bad usage.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench  # noqa: E402
from benchlib import cell_group, ncu, record  # noqa: E402

ABOUT = ("gpu", "driver", "nvrtc", "commit", "clocks", "peers", "missing")


def job(entry, shape):
    return {
        "cell": record.cell_id(entry),
        "shape": shape,
        "impl": entry["impl"],
        "pdl": entry["pdl"],
        "rounding": entry["rounding"],
        "in_place": entry["in_place"],
        "threads": entry.get("kernel", {}).get("threads", 0),
        "recorded_us": entry["us"],
    }


def jobs_of(data, cells):
    """What to launch for each cell, in the cells' order. Raises ValueError for a cell that was not
    measured."""
    groups = {}
    for (key, _), entries in cell_group.grouped(data).items():
        group = cell_group.Group(key, entries, False)
        groups[group.name] = group, key  # of two runs the later
    out = []
    for cell in cells:
        if cell not in groups:
            raise ValueError(f"{cell} is not in the results")
        group, shape = groups[cell]
        peers = [e for entries in group.peers().values() for e in entries]
        best = cell_group.faster(peers)
        best_off = cell_group.faster([e for e in peers if not e["pdl"]])
        maths = cell_group.maths(best) if best else None
        entries = [group.ours(False, maths), group.ours(True, maths), best_off]
        entries += [best] if best and best["impl"] != best_off["impl"] else []
        entries += [group.reference(name, False) for name in ("barrier_floor", "floor", "copy")]
        out += [job(entry, shape) for entry in entries if entry is not None]
    return out


def run_child(args):
    import torch
    from benchlib import profiled
    from benchlib.session import Session

    with open(os.path.join(args.child, "jobs.json"), encoding="utf-8") as file:
        jobs = json.load(file)
    args.impl = ",".join(sorted({job["impl"] for job in jobs}))
    session, profiler = Session(args), torch.cuda.profiler
    with open(os.path.join(args.child, "about.json"), "w", encoding="utf-8") as file:
        json.dump({name: session.record.data[name] for name in ABOUT}, file)
    with open(os.path.join(args.child, "done"), "w", encoding="utf-8") as done:
        marks = profiler.start, profiler.stop
        profiled.run(session, jobs, done, marks, lambda: time.time() >= args.deadline)
    return 0


def read(folder, name):
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        raise ValueError(f"nothing was profiled: the process under ncu left no {name}") from None


def profiled_part(args, argv, jobs, l2):
    """(about the machine, rows of kernels, failed jobs)"""
    with tempfile.TemporaryDirectory(prefix="rmsjit-profile-") as folder:
        with open(os.path.join(folder, "jobs.json"), "w", encoding="utf-8") as file:
            json.dump(jobs, file)
        child = [sys.executable, os.path.abspath(__file__), *argv]
        child += [f"--child={folder}", f"--deadline={args.deadline}"]
        environment = {**os.environ, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        log = os.path.join(folder, "ncu.csv")
        subprocess.run(ncu.command(args.ncu, log, l2 == "cold", child), env=environment)
        text, done = read(folder, "ncu.csv"), read(folder, "done")
        if args.keep:
            for name, kept in (("csv", text), ("jobs", done)):
                with open(f"{args.keep}.{l2}.{name}", "w", encoding="utf-8") as file:
                    file.write(kept)
        lines = [json.loads(line) for line in done.splitlines()]
        good = [line for line in lines if "error" not in line]
        failed = [line for line in lines if "error" in line]
        kernels = ncu.joined(good, ncu.rows(text)) if good else []
        return json.loads(read(folder, "about.json")), kernels, failed


def write(path, head, kernels, failures):
    """JSON with one kernel a line."""
    def lines(items):
        return "[" + ",".join("\n  " + json.dumps(item) for item in items) + "\n ]"

    with open(path, "w", encoding="utf-8") as file:
        for name, value in head.items():
            file.write(("{" if name == "schema_version" else " "))
            file.write(f"{json.dumps(name)}: {json.dumps(value)},\n")
        file.write(f' "kernels": {lines(kernels)},\n "failures": {lines(failures)}\n}}\n')


def command(args, argv):
    with open(args.cells, encoding="utf-8") as file:
        jobs = jobs_of(record.load(args.results), file.read().split())
    if args.impl:
        jobs = [job for job in jobs if job["impl"] in args.impl.split(",")]
    args.deadline = time.time() + args.time_limit
    head = {"schema_version": 1, "results": os.path.basename(args.results)}
    kernels, failures = [], []
    for l2 in ("cold", "warm"):
        mine = [job for job in jobs if job["cell"].endswith("/" + l2)]
        if not mine:
            continue
        begin = time.time()
        try:
            about, found, failed = profiled_part(args, argv, mine, l2)
        except (OSError, ValueError) as error:
            about, found, failed = {}, [], [{"l2": l2, "error": str(error)}]
        print(f"{l2}: {len(mine)} jobs, {time.time() - begin:.0f} s", file=sys.stderr, flush=True)
        head.update(about)
        kernels, failures = kernels + found, failures + failed
        write(args.out, head, kernels, failures)
    print("\n".join(ncu.table(kernels)))
    for failure in failures:
        print(f"failed: {failure.get('cell', '')} {failure.get('impl', '')} {failure['error']}")
    return 1 if failures else 0


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", help="where the cells' times and the fastest peers are read")
    parser.add_argument("--cells", metavar="FILE", required=True, help="ids of the cells")
    bench.add_implementation_options(parser, "profile to write")
    parser.add_argument("--ncu", default="ncu", help="path of Nsight Compute's command line")
    parser.add_argument("--keep", metavar="PATH", help="keep what ncu wrote at PATH.cold.csv, ...")
    parser.add_argument("--commit", default="", help="commit of this tree, where git cannot tell")
    parser.add_argument("--time-limit", type=float, default=140, help="seconds to begin jobs in")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--deadline", type=float, help=argparse.SUPPRESS)
    # What a child of `bench.py run` has beside it.
    parser.set_defaults(rounds=7, small_rounds=11, run_id="", threads=8, first=True, exclude=[])
    args = parser.parse_args(argv)
    if args.child:
        return run_child(args)
    try:
        return command(args, argv)
    except (OSError, ValueError) as error:
        print(f"profile_cells: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
