# SPDX-License-Identifier: Apache-2.0
"""Made-up results for the tests of tools/bench."""

import os
import random
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools", "bench"))
from benchlib import cell_group, record, stats  # noqa: E402


def entry(cell, impl, us, pdl=False, rounding="once", in_place=False, run="a", seed=1, **more):
    draw = random.Random(seed + len(impl))
    rounds = [us * (1 + 0.002 * draw.random()) for _ in range(9)]
    size = cell.copy_bytes if impl == "copy" else 0 if impl == "empty" else cell.bytes
    if impl in cell_group.REFERENCES:
        rounding = ""
    return {
        "op": cell.op,
        "dtype": cell.dtype,
        "hidden": cell.hidden,
        "rows": cell.rows,
        "heads": cell.heads,
        "l2": cell.l2,
        "pdl": pdl,
        "impl": impl,
        "run": run,
        "us": stats.median(rounds),
        "us_min": min(rounds),
        "us_max": max(rounds),
        "bytes": size,
        "rounding": rounding,
        "in_place": in_place,
        "constant_weight": False,
        "launches": 8,
        "kernels": 1.0,
        "rounds": rounds,
        **more,
    }


def results(entries):
    return {**record.empty(), "gpu": "H", "commit": "c", "cells": entries}
