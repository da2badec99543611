# SPDX-License-Identifier: Apache-2.0
"""Nsight Compute as `profile_cells.py` uses it: the command, its CSV, and a row of figures for each
kernel. Needs neither a GPU nor torch."""

import csv
import math
import re

SECTIONS = ("SpeedOfLight", "LaunchStats", "Occupancy", "WarpStateStats")
# Figure in a row: (metric, what turns ncu's base unit into the figure's).
METRICS = {
    "us": ("gpu__time_duration.sum", 1e-3),
    "dram_read_mb": ("dram__bytes_read.sum", 1e-6),
    "dram_write_mb": ("dram__bytes_write.sum", 1e-6),
    "dram_pct": ("gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed", 1),
    "l2_pct": ("lts__throughput.avg.pct_of_peak_sustained_elapsed", 1),
    "sm_pct": ("sm__throughput.avg.pct_of_peak_sustained_elapsed", 1),
    "l2_mb": ("lts__t_bytes.sum", 1e-6),
    "l2_hit_pct": ("lts__t_sector_hit_rate.pct", 1),
    "instructions": ("smsp__inst_executed.sum", 1),
    "registers": ("launch__registers_per_thread", 1),
    "shared_bytes": ("launch__shared_mem_per_block", 1),
    "blocks": ("launch__grid_size", 1),
    "threads": ("launch__block_size", 1),
    "cluster": ("launch__cluster_size", 1),
    "waves": ("launch__waves_per_multiprocessor", 1),
    "occupancy_pct": ("sm__warps_active.avg.pct_of_peak_sustained_active", 1),
}
STALL = re.compile(r"smsp__average_warps_issue_stalled_(\w+)_per_issue_active\.ratio")
STALLS_SHOWN = 3


def command(program, log, cold, child):
    """ncu empties the caches before each pass of a cold cell's kernel, and leaves the clocks."""
    return [
        program,
        *("--csv", "--page", "raw", "--print-units", "base", "--log-file", log),
        *("--target-processes", "application-only", "--profile-from-start", "off"),
        *("--clock-control", "none", "--cache-control", "all" if cold else "none"),
        *(word for section in SECTIONS for word in ("--section", section)),
        *("--metrics", ",".join(metric for metric, _ in METRICS.values())),
        *child,
    ]


def number(text):
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def rows(text):
    """One row of figures for each kernel of ncu's raw page, in the order of their launches. A
    figure that this ncu does not know is None."""
    lines = [line for line in text.splitlines() if line.startswith('"')]
    table = list(csv.reader(lines))
    if not table or table[0][0] != "ID":
        raise ValueError("no table in ncu's output: " + " ".join(text.split())[:600])
    head, body = table[0], [line for line in table[1:] if line[0]]  # the line of units has no ID
    return [_row(dict(zip(head, line))) for line in body]


def _row(cells):
    out = {"kernel": cells.get("Kernel Name", "")[:100]}
    for name, (metric, scale) in METRICS.items():
        value = number(cells.get(metric, ""))
        out[name] = None if value is None else float(f"{value * scale:.5g}")
    stalls = {m[1]: number(text) for name, text in cells.items() if (m := STALL.fullmatch(name))}
    stalls = {k: v for k, v in stalls.items() if v and not k.endswith("_not_issued")}
    total = sum(stalls.values())
    most = sorted(stalls, key=lambda name: -stalls[name])[:STALLS_SHOWN]
    out["stalls_pct"] = {name: round(100 * stalls[name] / total) for name in most}
    return out


def joined(done, found, cut=False):
    """The rows under the jobs that launched them; each job says how many kernels it launched.
    `cut`: the process ended within a job that said nothing any more; its rows are the last."""
    wanted = sum(job["kernels"] for job in done)
    found = found[:wanted] if cut else found
    if wanted != len(found):
        raise ValueError(f"{wanted} kernels were launched and ncu has {len(found)}")
    found = iter(found)
    return [{**job, **next(found)} for job in done for _ in range(job["kernels"])]


COLUMNS = (
    ("impl", 14), ("us", 8), ("dram_read_mb", 12), ("dram_write_mb", 13), ("dram_pct", 8),
    ("l2_pct", 6), ("sm_pct", 6), ("l2_mb", 8), ("l2_hit_pct", 10), ("instructions", 12),
    ("registers", 9), ("shared_bytes", 12), ("blocks", 7), ("threads", 7), ("cluster", 7),
    ("waves", 7), ("occupancy_pct", 13),
)  # fmt: skip


def table(kernels):
    """Lines to read: under each cell its kernels, with the time that the results file has."""
    lines, cell = [], None
    for kernel in kernels:
        if kernel["cell"] != cell:
            cell = kernel["cell"]
            lines += ["", cell, " ".join(f"{n:>{w}}" for n, w in COLUMNS) + "  recorded_us  stalls"]
        shown = {**kernel, "impl": kernel["impl"] + ("+pdl" if kernel["pdl"] else "")}
        texts = (_text(shown[name]).rjust(width) for name, width in COLUMNS)
        stalls = ", ".join(f"{name} {share} %" for name, share in kernel["stalls_pct"].items())
        lines.append(" ".join(texts) + f"  {kernel['recorded_us']:11.2f}  {stalls}")
    return lines


def _text(value):
    return "-" if value is None else value if isinstance(value, str) else f"{value:.7g}"
