#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds a results file against the targets: each target with the measured figure, the worst cell
and pass or fail, then every cell in which a peer is faster.

  compare.py results.json [--constant-weight]
             [--json | --misses [--profile FILE...] [--before OLDER.json]]

A peer is compared with the rmsjit entry of its own rounding and placement. "Slower" is: the lower
end of the 95 % interval of ours / theirs is over 1.02 in every run of the cell, of which there are
at least two; a target that waits for a second run (`bench.py run --confirm`) is open. Exit status:
0 all measured targets pass, 1 one fails or is open, 2 the file cannot be read.
"""

import argparse
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from benchlib import cell_group, host_targets, misses, profile_file, record, targets  # noqa: E402


STATUSES = (cell_group.CONFIRMED, cell_group.UNCONFIRMED)


def report(data, constant_weight):
    groups = cell_group.grouped(data)
    return (
        targets.all_targets(groups, constant_weight)
        + host_targets.launch_targets(data["host"])
        + host_targets.cold_targets(data["cold"]),
        cell_group.slower_cells(groups, constant_weight),
    )


def print_report(data, results, slower):
    print(
        f"{data['gpu']}, driver {data['driver']}, commit {data['commit']}, "
        f"{len({record.cell_id(e) for e in data['cells']})} cells, "
        f"{len(data['not_run'])} not run, {len(data['left_out'])} left out, "
        f"{len(data['failures'])} failures"
    )
    for name, reason in sorted(data["missing"].items()):
        print(f"missing: {name}: {reason[:160]}")
    print()
    for result in results:
        print(
            f"{result.verdict:<8} {result.name:<62} {result.measured:<26} target {result.wanted}"
            + (f"  worst {result.worst}" if result.worst else "")
        )
    cells = {status: {i["cell"] for i in slower if i["status"] == status} for status in STATUSES}
    print("\nSlower than a peer: " + ", ".join(f"{len(c)} cells {s}" for s, c in cells.items()))
    for item in slower:
        print(
            f"  {item['cell']:<42} {item['what']:<34} {item['ratio']:.3f} "
            f"[{item['lower']:.3f}, {item['upper']:.3f}] {item['ours_us']:.2f} / "
            f"{item['theirs_us']:.2f} us  {item['status']}"
        )
    if data["cold"]:
        print("\nFirst call in a fresh process:")
        print("\n".join(host_targets.cold_lines(data["cold"])))


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results")
    parser.add_argument(
        "--constant-weight",
        action="store_true",
        help="with PDL, compare the kernels that may read the weight early",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument(
        "--misses", action="store_true", help="print each cell that misses a target, and why"
    )
    parser.add_argument(
        "--profile",
        metavar="FILE",
        nargs="+",
        default=[],
        help="with --misses, files of profile_cells.py: their figures stand beside the misses",
    )
    parser.add_argument(
        "--before",
        metavar="OLDER.json",
        help="with --misses, an older record: what ours met there can be met",
    )
    args = parser.parse_args(argv)
    for option in ("profile", "before"):
        if getattr(args, option) and not args.misses:
            parser.error(f"--{option} goes with --misses")
    try:
        data = record.load(args.results)
        before = record.load(args.before) if args.before else None
        if before and before["gpu"] != data["gpu"]:
            raise ValueError(f"--before is of {before['gpu']}, {args.results} of {data['gpu']}")
        profiles = profile_file.Profiles(data, args.profile)
    except (OSError, ValueError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    results, slower = report(data, args.constant_weight)
    if args.json:
        print(
            json.dumps(
                {"schema_version": 1, "targets": [r.summary() for r in results], "slower": slower}
            )
        )
    elif args.misses:
        reasons = misses.Reasons(data, results, profiles, before)
        print("\n".join(misses.lines(reasons, results)))
    else:
        print_report(data, results, slower)
    return 1 if any(r.verdict in ("FAIL", "open") for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
