#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times rmsjit, its peers and the floors of the hardware side by side on the GPU at hand.

  bench.py run --rmsjit build/lib/librmsjit.so --out out.json [--quick | --shard 0/2]
  bench.py list [--quick] [--shard 0/2]       the cells, in the order in which they would run
  bench.py coldstart --rmsjit ... --bench build/bin/rmsnorm-bench --out cold.json
  bench.py merge [--replace] out.json part0.json part1.json ...

`run` works in child processes: a peer that crashes one, or breaks its CUDA context, is recorded,
left out of its cell, and the rest goes on. What is measured and how: tools/bench/README.md.
"""

import argparse
import json
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from benchlib import choice, grid, record  # noqa: E402
from benchlib.variants import IMPLEMENTATIONS  # noqa: E402


def add_implementation_options(parser, out="results file; taken up again if it exists"):
    parser.add_argument("--out", required=True, help=out)
    parser.add_argument("--rmsjit", help="path of librmsjit.so")
    parser.add_argument("--worker", help="path of the compile worker; default: compile in process")
    parser.add_argument("--nvrtc", help="path of libnvrtc; default: the wheels', the toolkit's")
    parser.add_argument("--commit", default="", help="commit of this tree, where git cannot tell")
    parser.add_argument("--impl", help="only these implementations, separated by commas")
    parser.add_argument("--flashinfer-module", help="FlashInfer's norm module, built before")
    parser.add_argument("--flashinfer-include", help="FlashInfer's include folder, for its headers")


def add_run_options(parser):
    parser.add_argument(
        "--time-limit", type=float, help="seconds after which no further cell is begun"
    )
    parser.add_argument("--processes", type=int, help="processes that compile at once")
    parser.add_argument("--require", help="end at once if one of these implementations is missing")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds a cell (at least 7)")
    parser.add_argument("--small-rounds", type=int, default=11, help="the same for short cells")
    parser.add_argument("--run-id", default="", help="name of this run in the results")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--first", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--exclude", action="append", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--deadline", type=float, help=argparse.SUPPRESS)


def run_child(args):
    """Measures in the supervisor's turns: a line in is a tier, a line out says that it is done.
    Whatever else is printed here goes to the standard error."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def done():
        print("done", file=channel, flush=True)

    with open(os.path.join(args.child, "cells.json"), encoding="utf-8") as file:
        wanted = set(json.load(file))
    cells = [cell for cell in grid.ordered(grid.full_grid() + grid.quick_grid())
             if cell.id in wanted]
    cells = list(dict.fromkeys(cells))
    try:
        from benchlib.session import Session

        session = Session(args)
    except (ImportError, OSError, RuntimeError) as error:
        print(f"bench: nothing can be measured here: {error}", file=sys.stderr)
        return 3
    if not session.adapters:
        print("bench: no implementation can be used", file=sys.stderr)
        return 3
    session.prepare(cells)
    done()
    for line in sys.stdin:
        session.turn([cell for cell in cells if grid.tier(cell) == int(line)])
        done()
        session.after_turn()
    session.finish()
    return 0


def command_run(args, argv):
    if args.child:
        return run_child(args)
    from benchlib.supervisor import Supervisor

    if not args.run_id:
        args.run_id = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        argv = argv + ["--run-id", args.run_id]
    with tempfile.TemporaryDirectory(prefix="rmsjit-bench-") as work_dir:
        try:
            check_run(args)
            cells, left_out = choice.cells(args)
            supervisor = Supervisor(args, argv, work_dir)
        except (OSError, ValueError) as error:
            return refused(error)
        return supervisor.run(cells, left_out)


def check_run(args):
    """Raises ValueError for options that cannot be meant."""
    if args.rounds < 7:
        raise ValueError(f"--rounds is at least 7, given {args.rounds}")
    if args.confirm and os.path.realpath(args.confirm) == os.path.realpath(args.out):
        raise ValueError(
            f"--confirm {args.confirm} is --out as well, which has its cells: nothing would be "
            "measured; name another file with --out"
        )
    chosen = implementations(args, IMPLEMENTATIONS)
    if args.require:
        choice.named("--require", args.require, chosen)


def implementations(args, allowed):
    """Those of --impl, or all. Raises ValueError."""
    return choice.named("--impl", args.impl, allowed) if args.impl else allowed


def refused(error):
    print(f"bench: {error}", file=sys.stderr)
    return 2


def command_list(args):
    try:
        cells, left_out = choice.cells(args)
    except (OSError, ValueError) as error:
        return refused(error)
    for cell in cells:
        print(
            f"{grid.tier(cell)} {cell.id:<44} {cell.bytes / 1e6:12.3f} MB  "
            f"{grid.launches(cell):4d} launches"
        )
    seconds = sum(grid.expected_seconds(cell) for cell in cells)
    print(
        f"{len(cells)} cells, about {seconds:.0f} s and what compiling takes, and {len(left_out)} "
        "left out",
        file=sys.stderr,
    )
    return 0


def command_coldstart(args):
    from benchlib import coldstart, cuda, machine

    try:
        names = implementations(args, coldstart.IMPLEMENTATIONS)
        if os.path.exists(args.out):
            raise ValueError(f"--out {args.out} exists and coldstart takes up none: name another")
    except ValueError as error:
        return refused(error)
    paths = ("rmsjit", "worker", "nvrtc", "flashinfer_module", "flashinfer_include")
    options = {name: absolute(getattr(args, name)) for name in paths}
    options["nvrtc"] = options["nvrtc"] or cuda.find_nvrtc()
    results = record.Record(args.out)
    results.data["commit"] = args.commit or machine.git_commit()
    clock = coldstart.Clock(args.time_limit, args.process_limit)
    for entry in coldstart.measure(names, args.hidden, options, clock):
        add_cold(results, entry)
    if args.bench:
        clock = coldstart.Clock(args.time_limit, args.time_limit)
        program = absolute(args.bench)
        for entry in coldstart.measure_own(program, options, args.hidden, args.rounds, clock):
            add_cold(results, entry)
    # Only now: it reads NVRTC, which may not have been in memory for the first process, and starts
    # the driver, which would stay started for all of them.
    results.data.update(machine.facts(options["nvrtc"]), gpu=machine.gpu_name())
    results.flush()
    return 0


def absolute(path):
    return os.path.abspath(path) if path else path


def add_cold(results, entry):
    shown = (f"{key} {value}" for key, value in entry.items() if key != "rounds")
    print(" ".join(shown), file=sys.stderr, flush=True)
    results.data["cold"].append(entry)
    results.flush()


def command_merge(args):
    try:
        parts = [record.load(path) for path in args.parts]
        merged = record.merge(record.replaced(parts) if args.replace else parts)
    except (OSError, ValueError) as error:
        return refused(error)
    record.Record(args.out, merged).flush()
    print(f"{args.out}: {len(merged['cells'])} entries of {len(args.parts)} files", file=sys.stderr)
    return 0


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure")
    listing = commands.add_parser("list", help="print the cells and measure nothing")
    merging = commands.add_parser("merge", help="join the results of several runs")
    for sub in (run, listing):
        choice.add_options(sub)
    cold = commands.add_parser(
        "coldstart", help="first call in a fresh process, cold and disk-warm"
    )
    add_implementation_options(run)
    add_implementation_options(cold, "results file to write; must not exist")
    add_run_options(run)
    cold.add_argument("--hidden", type=int, default=4096)
    cold.add_argument("--bench", help="path of rmsnorm-bench, for our routes and the raw compile")
    cold.add_argument("--rounds", type=int, default=5, help="processes of each route of --bench")
    cold.add_argument("--time-limit", type=float, default=90, help="seconds for all peers")
    cold.add_argument("--process-limit", type=float, default=45, help="seconds for one process")
    merging.add_argument(
        "--replace",
        action="store_true",
        help="cells of a later file replace those of earlier ones: their kernels have changed",
    )
    merging.add_argument("out")
    merging.add_argument("parts", nargs="+")
    args = parser.parse_args(argv)
    if args.command == "run":
        return command_run(args, argv)
    return {"list": command_list, "merge": command_merge, "coldstart": command_coldstart}[
        args.command
    ](args)


if __name__ == "__main__":
    sys.exit(main())
