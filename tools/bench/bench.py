#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times rmsjit, its peers and the floors of the hardware side by side on the GPU at hand.

  bench.py run --rmsjit build/lib/librmsjit.so --out out.json [--quick | --minutes 9 | --shard 0/4]
  bench.py list [--quick] [--shard 0/4]       the cells, in the order in which they would run
  bench.py coldstart --rmsjit ... --bench build/bin/rmsnorm-bench --out cold.json
  bench.py merge out.json part0.json part1.json ...

`run` works in a child process: a peer that crashes it, or breaks the CUDA context, is recorded,
left out of its cell, and the rest goes on. What is measured and how: tools/bench/README.md.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from benchlib import grid, record  # noqa: E402

MOST_RESTARTS = 12
RESTART = 75  # the child's exit status when only a new process can go on


def parse_shard(text):
    try:
        index, count = (int(part) for part in text.split("/"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected i/n, given {text!r}") from None
    if not 0 <= index < count:
        raise argparse.ArgumentTypeError(f"expected 0 <= i < n, given {text!r}")
    return index, count


def choose_cells(args):
    cells = grid.quick_grid() if args.quick else grid.full_grid()
    if args.shard:
        cells = grid.shard(cells, *args.shard)
    for name in ("op", "dtype", "hidden", "rows", "l2"):
        wanted = getattr(args, name)
        if wanted:
            kind = int if name in ("hidden", "rows") else str
            allowed = {kind(value) for value in wanted.split(",")}
            cells = [cell for cell in cells if getattr(cell, name) in allowed]
    if args.max_gib:
        cells = [cell for cell in cells if cell.set_bytes <= args.max_gib * 2**30]
    return grid.ordered(cells)


def add_cell_options(parser):
    parser.add_argument("--quick", action="store_true", help="a small grid, about three minutes")
    parser.add_argument(
        "--shard", type=parse_shard, help="i/n: the i-th of n parts, by hidden size"
    )
    for name in ("op", "dtype", "hidden", "rows", "l2"):
        parser.add_argument(f"--{name}", help="only these, separated by commas")
    parser.add_argument("--max-gib", type=float, help="only cells whose tensors take at most this")


def add_implementation_options(parser):
    parser.add_argument("--out", required=True, help="results file; taken up again if it exists")
    parser.add_argument("--rmsjit", help="path of librmsjit.so")
    parser.add_argument("--worker", help="path of the compile worker; default: compile in process")
    parser.add_argument("--nvrtc", help="path of libnvrtc; default: the wheels', the toolkit's")
    parser.add_argument("--impl", help="only these implementations, separated by commas")
    parser.add_argument("--flashinfer-module", help="FlashInfer's norm module, built before")
    parser.add_argument("--flashinfer-include", help="FlashInfer's include folder, for its headers")


def add_run_options(parser):
    parser.add_argument(
        "--minutes", type=float, help="stop before a cell once this much has passed"
    )
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds a cell (at least 7)")
    parser.add_argument("--small-rounds", type=int, default=15, help="the same for short cells")
    parser.add_argument("--commit", default="", help="commit of this tree, where git cannot tell")
    parser.add_argument("--run-id", default="", help="name of this run in the results")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--exclude", action="append", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--deadline", type=float, help=argparse.SUPPRESS)


def run_supervised(args, argv, work_dir):
    """Runs the child until it is done; each crash is charged to the implementation at work."""
    from benchlib.session import read_now

    excluded = []
    deadline = time.time() + 60 * args.minutes if args.minutes else None
    for _ in range(MOST_RESTARTS):
        command = [sys.executable, os.path.abspath(__file__)] + argv + ["--child"]
        command += ["--deadline", str(deadline)] if deadline else []
        command += [f"--exclude={pair}" for pair in excluded]
        status = subprocess.run(
            command, env={**os.environ, "RMSJIT_BENCH_WORK": work_dir}, check=False
        ).returncode
        if status in (0, 1, 2, 3):
            return status
        cell, implementation = read_now(args.out)
        results = record.Record(
            args.out, record.load(args.out) if os.path.exists(args.out) else None
        )
        results.add_failure(cell, implementation, f"ended the process (status {status})")
        results.flush()
        print(
            f"bench: {implementation} ended the process in {cell} (status {status}), going on "
            "without it there",
            file=sys.stderr,
            flush=True,
        )
        excluded.append(f"{cell}::{implementation}")
    print(f"bench: gave up after {MOST_RESTARTS} restarts", file=sys.stderr)
    return 1


def command_run(args, argv):
    if args.rounds < 7:
        print(f"bench: --rounds is at least 7, given {args.rounds}", file=sys.stderr)
        return 2
    if not args.child:
        with tempfile.TemporaryDirectory(prefix="rmsjit-bench-") as work_dir:
            return run_supervised(args, argv, work_dir)
    try:
        from benchlib.session import Session

        session = Session(args)
    except (ImportError, OSError, RuntimeError) as error:
        print(f"bench: nothing can be measured here: {error}", file=sys.stderr)
        return 3
    return session.run(choose_cells(args))


def command_list(args):
    cells = choose_cells(args)
    for cell in cells:
        print(
            f"{grid.tier(cell)} {cell.id:<44} {cell.bytes / 1e6:12.3f} MB  "
            f"{grid.launches(cell):4d} launches"
        )
    print(f"{len(cells)} cells", file=sys.stderr)
    return 0


def command_coldstart(args):
    from benchlib import coldstart

    options = {
        name: getattr(args, name)
        for name in ("rmsjit", "worker", "nvrtc", "flashinfer_module", "flashinfer_include")
    }
    names = args.impl.split(",") if args.impl else coldstart.IMPLEMENTATIONS
    results = record.Record(args.out, record.load(args.out) if os.path.exists(args.out) else None)
    if args.bench:
        for entry in coldstart.measure_own(args.bench, options, args.hidden):
            add_cold(results, entry)
    for entry in coldstart.measure(names, args.hidden, options):
        add_cold(results, entry)
    return 0


def add_cold(results, entry):
    shown = (f"{key} {value}" for key, value in entry.items() if key != "rounds")
    print(" ".join(shown), file=sys.stderr, flush=True)
    results.data["cold"].append(entry)
    results.flush()


def command_merge(args):
    try:
        merged = record.merge([record.load(path) for path in args.parts])
    except (OSError, ValueError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
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
        add_cell_options(sub)
    cold = commands.add_parser(
        "coldstart", help="first call in a fresh process, cold and disk-warm"
    )
    for sub in (run, cold):
        add_implementation_options(sub)
    add_run_options(run)
    cold.add_argument("--hidden", type=int, default=4096)
    cold.add_argument("--bench", help="path of rmsnorm-bench, for our routes and the raw compile")
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
