#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Profiles cells of a results file under Nsight Compute, one launch each: cells that are named, or
those whose miss has no reason in the record.

  profile_cells.py results.json --cells cells.txt --rmsjit build/lib/librmsjit.so --out out.json
  profile_cells.py results.json --unexplained --rmsjit ... --out out.json
                   [--impl rmsjit] [--done out0.json ...] [--seconds S]

A named cell is ours with PDL off and on, the copy, both floors, and the peers that were fastest
there without PDL and at all. An unexplained miss is ours in the state of the miss, worst first, and
after all of ours the peers that are fastest in that state; `compare.py --misses --profile` shows
them. Launches that a --done file has are left out; what there was no time for is a failure.

Prints a table and writes the same as JSON, one kernel a line, with the time that the results file
has beside ncu's own. One process runs all cold cells, one all warm ones. ncu serialises kernels: a
launch with PDL shows its plan, not its overlap. The caches are emptied before each pass for a cold
cell, and left as the passes before left them for a warm one. Exit status: 0 all jobs profiled, 1
some failed, 2 bad usage.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench  # noqa: E402
from benchlib import cell_group, choice, ncu, profile_file, profile_jobs, record  # noqa: E402
from benchlib import targets, variants  # noqa: E402

ABOUT = ("gpu", "driver", "nvrtc", "commit", "clocks", "peers", "missing")
# The last turn takes up what the first had no time for, if the second leaves some.
TURNS = (("cold", "cold"), ("warm", "warm"), ("rest", "cold"))
LEAST_SECONDS = 10  # a process that loads torch has begun no job after less


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


def profiled_part(args, argv, folder, turn, jobs, deadline):
    """Runs one process under ncu: (about the machine, rows of kernels, failed jobs)."""
    for name in ("ncu.csv", "done", "about.json"):  # of the turn before; our cache stays
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(folder, name))
    with open(os.path.join(folder, "jobs.json"), "w", encoding="utf-8") as file:
        json.dump(jobs, file)
    child = [sys.executable, os.path.abspath(__file__), *argv]
    child += [f"--child={folder}", f"--deadline={deadline}"]
    environment = {**os.environ, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    log = os.path.join(folder, "ncu.csv")
    cold = jobs[0]["cell"].endswith("/cold")
    subprocess.run(ncu.command(args.ncu, log, cold, child), env=environment)
    text, done = read(folder, "ncu.csv"), read(folder, "done")
    if args.keep:
        for name, kept in (("csv", text), ("jobs", done)):
            with open(f"{args.keep}.{turn}.{name}", "w", encoding="utf-8") as file:
                file.write(kept)
    lines = [json.loads(line) for line in done.splitlines()]
    good = [line for line in lines if "error" not in line]
    failed = [line for line in lines if "error" in line]
    failed += with_error(jobs[len(lines) :], "the process under ncu ended before this job was done")
    kernels = ncu.joined(good, ncu.rows(text), len(lines) < len(jobs)) if good else []
    return json.loads(read(folder, "about.json")), kernels, failed


def with_error(jobs, error):
    return [{**job, "kernels": 0, "error": error} for job in jobs]


class Profile:
    """What is profiled so far, and by L2 the jobs that are left."""

    def __init__(self, args, argv, jobs):
        self.args, self.argv, self.end = args, argv, time.time() + args.seconds
        self.head = {"results": os.path.basename(args.results)}
        self.kernels, self.failures = [], []
        self.left = {l2: [job for job in jobs if job["cell"].endswith(l2)] for _, l2 in TURNS}

    def run(self):
        self.write()  # that it cannot be written shows now
        with tempfile.TemporaryDirectory(prefix="rmsjit-profile-") as folder:
            for turn, l2 in TURNS:
                if self.left[l2] and time.time() + LEAST_SECONDS <= self.end:
                    self._turn(folder, turn, l2)
                    self.write()
        for jobs in self.left.values():
            self.failures += with_error(jobs, f"TimeoutError: {profile_jobs.OUT_OF_TIME}")
        self.left = {}
        self.write()

    def write(self):
        left = [job for jobs in self.left.values() for job in jobs]
        failures = self.failures + with_error(left, "not profiled yet")
        profile_file.write(self.args.out, self.head, self.kernels, failures)

    def _turn(self, folder, turn, l2):
        """The first one leaves the warm jobs their share of the time."""
        mine, self.left[l2] = self.left[l2], []
        later, begin = len(self.left["warm"]), time.time()
        deadline = begin + (self.end - begin) * len(mine) / (len(mine) + later)
        try:
            parts = profiled_part(self.args, self.argv, folder, turn, mine, deadline)
        except (OSError, ValueError) as error:
            parts = {}, [], with_error(mine, str(error))
        print(f"{l2}: {len(mine)} jobs, {time.time() - begin:.0f} s", file=sys.stderr, flush=True)
        self.head.update(parts[0])
        self.kernels += parts[1]
        late = [job for job in parts[2] if job["error"].endswith(profile_jobs.OUT_OF_TIME)]
        names = {profile_jobs.key(job) for job in late}
        self.left[l2] = [job for job in mine if profile_jobs.key(job) in names]
        self.failures += [job for job in parts[2] if job not in late]


def chosen_jobs(args):
    data = record.load(args.results)
    if args.unexplained:
        found = targets.all_targets(cell_group.grouped(data))
        jobs = profile_jobs.of_misses(data, found)
    else:
        with open(args.cells, encoding="utf-8") as file:
            jobs = profile_jobs.of_cells(data, file.read().split())
    if args.impl:
        wanted = choice.named("--impl", args.impl, variants.IMPLEMENTATIONS)
        jobs = [job for job in jobs if job["impl"] in wanted]
    profiles = profile_file.Profiles(data, args.done)
    left = [job for job in jobs if not profiles.has(job)]
    for note in profiles.notes:
        print(f"done: {note}", file=sys.stderr)
    cells = len({job["cell"] for job in left})
    text = f"{len(left)} jobs of {cells} cells, {len(jobs) - len(left)} done before"
    print(text, file=sys.stderr, flush=True)
    return left


def command(args, argv):
    profile = Profile(args, argv, chosen_jobs(args))
    profile.run()
    print("\n".join(ncu.table(profile.kernels)))
    for failure in profile.failures:
        print(f"failed: {failure['cell']} {failure['impl']} {failure['error']}")
    return 1 if profile.failures else 0


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", help="where the cells' times and the fastest peers are read")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--cells", metavar="FILE", help="ids of the cells")
    which.add_argument(
        "--unexplained", action="store_true", help="the misses without a reason in the record"
    )
    parser.add_argument(
        "--done", metavar="FILE", nargs="+", default=[], help="files that this tool wrote before"
    )
    bench.add_implementation_options(parser, "profile to write")
    parser.add_argument("--ncu", default="ncu", help="path of Nsight Compute's command line")
    parser.add_argument("--keep", metavar="PATH", help="keep what ncu wrote at PATH.cold.csv, ...")
    parser.add_argument(
        "--seconds", "--time-limit", type=float, default=140, help="seconds to begin jobs in"
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--deadline", type=float, help=argparse.SUPPRESS)
    # What a child of `bench.py run` has beside it.
    parser.set_defaults(rounds=7, small_rounds=11, run_id="", threads=8, first=True, exclude=[])
    parser.set_defaults(require=None)
    args = parser.parse_args(argv)
    if args.child:
        return run_child(args)
    if os.path.realpath(args.out) in map(os.path.realpath, [args.results, *args.done]):
        parser.error("--out would replace a file that is read: name another")
    try:
        return command(args, argv)
    except (OSError, ValueError) as error:
        print(f"profile_cells: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
