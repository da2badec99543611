# SPDX-License-Identifier: Apache-2.0
"""The interval of ours / theirs on each of our entries: it needs no GPU."""

from collections import defaultdict

from . import record, stats


def add_ratios(entries):
    """For the entries of one run that have none yet, against those that they compare with."""
    cells = defaultdict(list)
    for entry in entries:
        cells[record.cell_id(entry)].append(entry)
    for mine in cells.values():
        for ours in mine:
            if ours["impl"] == "rmsjit" and "ratios" not in ours:
                ours["ratios"] = ratios(ours, mine)


def ratios(ours, entries):
    out = {}
    for theirs in entries:
        if theirs["impl"] in ("rmsjit", "empty") or theirs["pdl"] != ours["pdl"]:
            continue
        if theirs["rounding"] and (theirs["rounding"], theirs["in_place"]) != (
            ours["rounding"],
            ours["in_place"],
        ):
            continue
        if not theirs["rounding"] and theirs["constant_weight"] and not ours["constant_weight"]:
            continue
        ratio = stats.ratio_interval(ours["rounds"], theirs["rounds"])
        out[theirs["impl"]] = [round(value, 4) for value in ratio]
    return out
