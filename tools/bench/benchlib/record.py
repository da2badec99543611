# SPDX-License-Identifier: Apache-2.0
"""The results file: its fields, writing it so that a killed run loses nothing that it measured, and
merging the files of several runs.

Fields of a cell's entry beyond op, dtype, hidden, rows, heads, l2, pdl, impl, run, us, us_min,
us_max and bytes: `rounding` and `in_place` say which maths was compiled (a peer is compared with
the rmsjit entry of the same two), `constant_weight` whether the weight may be read before the PDL
wait, `launches` and `kernels` the launches in the graph and the kernels that each one costs,
`rounds` the microseconds of each round (the same index is the same moment for all entries of a
cell), and on rmsjit's entries `ratios` {impl: [ours / theirs, lower, upper]} against entries with
the same pdl. `kernel`: a floor's block size; of ours `plan`, the text of the whole plan with the
schedules for few and for many rows if there are any (an older library does not tell it), and
`threads_per_row`, `max_rows_per_block` and `registers`, which are the first schedule's alone.

`host`: nanoseconds of a launch and of the driver's own, and their median paired difference
`extra_ns` with its interval (`rmsnorm-bench launch`). `cold`: `ms` of the first call of a fresh
process by impl and route; ours and the raw compile by `rmsnorm-bench cold`, the peers by
`bench.py coldstart`, which also gives their `import_ms`. `prepare`: each compile of ours.

`missing` {impl: reason} has what could not be used; where other runs, or other processes of the
same, had it, the reason begins with the runs that lacked it. `unsupported` [{impl, what}]: why a
peer, or a floor, has no entry in cells that it does not do, each reason once. `failures`: what was
tried and gave an error. `not_run`: the cells that were asked for and have not been measured yet.
`left_out` [{cell, reason}]: those that a limit to the memory keeps out of the run.
"""

import json
import os
import time
from collections import defaultdict

SCHEMA_VERSION = 1
LISTS = (
    "cells", "host", "cold", "prepare", "failures", "not_run", "left_out", "unsupported", "runs",
    "memcpy",
)  # fmt: skip
KEY = ("op", "dtype", "hidden", "rows", "heads", "l2")
LACKING = "missing in run "


def empty():
    data = {
        "schema_version": SCHEMA_VERSION,
        "gpu": "",
        "driver": "",
        "nvrtc": "",
        "commit": "",
        "clocks": {},
        "peers": {},
        "missing": {},
    }
    data.update({name: [] for name in LISTS})
    return data


def load(path):
    with open(path, encoding="utf-8") as file:
        try:
            data = json.load(file)
        except ValueError as error:
            raise ValueError(f"{path} is no results file: {error}") from error
    if not isinstance(data, dict):
        kind = type(data).__name__
        raise ValueError(f"{path} is no results file: it holds a {kind}, not an object")
    if data.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"{path}: schema_version is {data.get('schema_version')!r}, "
            f"this tool reads {SCHEMA_VERSION}"
        )
    cells = data.get("cells", [])
    if any("impl" not in entry or "op" not in entry for entry in cells):
        raise ValueError(f"{path} is no results file: its cells name no op and impl (tune's do not)")
    return {**empty(), **data}


def cell_id(entry):
    return (
        f"{entry['op']}/{entry['dtype']}/h{entry['hidden']}/r{entry['rows']}"
        f"/n{entry['heads']}/{entry['l2']}"
    )


def given_up(data):
    """Cells of which nothing can be measured, or whose timing itself ended a process."""
    return {f["cell"] for f in data["failures"] if f["impl"] in ("all", "timing")}


class Record:
    """One run's results. flush() replaces the file in one step."""

    def __init__(self, path, data=None):
        self.path = path
        self.data = data or empty()
        self._flushed_at = 0.0
        self._flush_seconds = 0.0

    def done(self):
        return {cell_id(entry) for entry in self.data["cells"]}

    def add_entries(self, entries):
        self.data["cells"] += entries
        # Writing a long file must not eat the device's time: at most a twentieth of it.
        if time.monotonic() - self._flushed_at >= 20 * self._flush_seconds:
            self.flush()

    def add_failure(self, cell, impl, error, **more):
        text = str(error).strip()
        self.data["failures"].append(
            {
                "cell": cell,
                "impl": impl,
                "error": text if len(text) < 600 else text[:600] + " ...",
                **more,
            }
        )

    def add_unsupported(self, impl, what):
        reason = {"impl": impl, "what": str(what)}
        if reason not in self.data["unsupported"]:
            self.data["unsupported"].append(reason)

    def flush(self):
        begin = time.monotonic()
        temporary = self.path + ".tmp"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(self.data, file, separators=(",", ":"))
        os.replace(temporary, self.path)
        self._flushed_at = time.monotonic()
        self._flush_seconds = self._flushed_at - begin


def merge(parts):
    """One file of many: entries add up; a cell that one part did not run and another measured is
    not left."""
    if not parts:
        raise ValueError("nothing to merge")
    out = empty()
    for name in ("gpu", "driver", "nvrtc", "commit"):
        values = list(dict.fromkeys(part[name] for part in parts if part[name]))
        if name == "gpu" and len(values) > 1:
            raise ValueError(f"runs on different GPUs cannot be merged: {', '.join(values)}")
        out[name] = ", ".join(values)
    out["clocks"] = next((part["clocks"] for part in parts if part["clocks"]), {})
    for part in parts:
        out["peers"].update(part["peers"])
        for name in LISTS:
            out[name] += part[name]
    out["missing"] = missing_somewhere(parts)
    done = {cell_id(entry) for entry in out["cells"]}
    out["not_run"] = sorted({cell for cell in out["not_run"] if cell not in done})
    left_out = {entry["cell"]: entry for entry in out["left_out"]}
    out["left_out"] = [entry for cell, entry in left_out.items() if cell not in done]
    reasons = {(entry["impl"], entry["what"]): entry for entry in out["unsupported"]}
    out["unsupported"] = list(reasons.values())
    return out


def missing_somewhere(parts):
    """What some part could not use: a peer that half of the runs lacked must not look complete."""
    loaded = {name for part in parts for name in part["peers"]}
    loaded |= {entry["impl"] for part in parts for entry in part["cells"]}
    reasons = defaultdict(dict)  # of each peer, every one once, in order
    for part in parts:
        runs = ", ".join(dict.fromkeys(entry["run"] for entry in part["cells"]))
        for name, reason in part["missing"].items():
            if name in loaded and runs and LACKING not in reason:
                reason = f"{LACKING}{runs}: {reason}"
            reasons[name][reason] = None
    return {name: "; ".join(found) for name, found in reasons.items()}


def replaced(parts):
    """The parts, without the cells, nor their failures, that a later one has measured: its kernels
    are other ones."""
    kept = []
    newer = set()
    for part in reversed(parts):
        cells = [entry for entry in part["cells"] if cell_id(entry) not in newer]
        failures = [failure for failure in part["failures"] if failure["cell"] not in newer]
        kept.append({**part, "cells": cells, "failures": failures})
        newer |= {cell_id(entry) for entry in part["cells"]}
    return kept[::-1]


def summary(entries, cell, seconds, failures):
    """One line a cell: the best time of each implementation, PDL off and on."""
    best = {}
    for entry in entries:
        key = entry["impl"] + ("+pdl" if entry["pdl"] else "")
        best[key] = min(best.get(key, 1e30), entry["us"])
    times = " ".join(f"{name} {us:.2f}" for name, us in best.items())
    broken = ", ".join(sorted({f"{f['impl']}: {f['error'][:120]}" for f in failures}))
    return f"{cell.id} {seconds:.2f} s | {times}" + (
        f" | FAILED {broken}" if broken else ""
    )
