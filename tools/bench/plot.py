#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws a results file, each picture as PNG and SVG, plain above the fused add:

  NAME-time.*     microseconds against rows at a few hidden sizes, ours and every peer, L2-warm
  NAME-copy.*     percent of the copy kernel's bandwidth against hidden, for at least 128 MB moved
  NAME-grid.*     every hidden and number of rows: how much faster than the best peer

  plot.py results.json OUT_FOLDER [--name h100] [--hidden 1024,4096,...] [--rows 128]

Each implementation is drawn at the better of PDL off and on; ours in the slowest of the roundings
and placements that its peers have, and without constant_weight. What is far slower than the rest
(torch eager) is named at the upper edge. Needs matplotlib; exit status 3 without.
"""

import argparse
import os
import sys
from collections import defaultdict

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from benchlib import grid, grid_picture, record  # noqa: E402

# Name, colour, line: ours stands out, the floors are grey, peers keep their colour in all pictures.
STYLES = {
    "rmsjit": ("rmsjit", "#d62728", "-"),
    "flashinfer": ("FlashInfer (CuTe)", "#1f77b4", "-"),
    "flashinfer_cuda": ("FlashInfer (CUDA)", "#17becf", "-"),
    "quack": ("quack", "#2ca02c", "-"),
    "inductor": ("torch.compile", "#ff7f0e", "-"),
    "liger": ("Liger", "#9467bd", "-"),
    "torch": ("torch eager", "#8c564b", "-"),
    "te": ("TransformerEngine", "#e377c2", "-"),
    "copy": ("copy kernel", "#7f7f7f", "--"),
    "barrier_floor": ("floor with a barrier", "#aaaaaa", ":"),
}
OPS = {"rmsnorm": "RMSNorm", "fused_add": "residual add + RMSNorm"}


def times(entries):
    """{(hidden, rows, l2): {impl: us}} of bf16 entries of one op."""
    slowest = defaultdict(dict)  # of the variants of one PDL setting; peers have one
    for entry in entries:
        if not entry["constant_weight"]:
            cell = slowest[entry["hidden"], entry["rows"], entry["l2"]]
            key = entry["impl"], entry["pdl"]
            cell[key] = max(cell.get(key, 0), entry["us"])
    out = {}
    for cell, figures in slowest.items():
        out[cell] = {}
        for (impl, _), us in figures.items():
            out[cell][impl] = min(us, out[cell].get(impl, us))
    return out


def time_series(cells, hidden, most_rows):
    """{impl: [(rows, us)]}, L2-warm."""
    out = defaultdict(list)
    for (width, rows, l2), figures in sorted(cells.items()):
        if width == hidden and l2 == "warm" and rows <= most_rows:
            for impl, us in figures.items():
                out[impl].append((rows, us))
    return out


def split_far(series):
    """(what is drawn, what is far above it): half as much again as the second slowest is far."""
    tops = sorted((max(us for _, us in points), impl) for impl, points in series.items())
    if len(tops) < 3 or tops[-1][0] < 1.5 * tops[-2][0]:
        return series, {}
    far = tops[-1][1]
    return {k: v for k, v in series.items() if k != far}, {far: series[far]}


def copy_series(cells, op):
    """{impl: [(hidden, percent of copy)]}, for each hidden at its smallest shape of 128 MB or
    more."""
    out = defaultdict(list)
    drawn = set()
    for (hidden, rows, l2), figures in sorted(cells.items()):
        large = grid.Cell(op, "bf16", hidden, rows).bytes >= grid.LARGE_BYTES
        if l2 != "cold" or not large or hidden in drawn or "copy" not in figures:
            continue
        drawn.add(hidden)
        for impl, us in figures.items():
            if impl not in ("barrier_floor", "landed_floor"):
                out[impl].append((hidden, 100 * figures["copy"] / us))
    return out


def draw(axes, series):
    """Sizes whose rows are not aligned stand alone: no line joins them with the others."""
    for impl, (label, colour, line) in reversed(STYLES.items()):
        if impl in series:
            ours = impl == "rmsjit"
            odd = [point for point in series[impl] if point[0] % 8 and point[0] > 1024]
            rest = [point for point in series[impl] if point not in odd]
            axes.plot(
                [x for x, _ in rest],
                [y for _, y in rest],
                line,
                color=colour,
                label=label,
                marker="o",
                markersize=4 if ours else 2.5,
                linewidth=2.6 if ours else 1.2,
            )
            if odd and impl != "copy":
                shape, size = ("D", 6) if ours else ("x", 5)
                axes.plot(*zip(*odd), shape, color=colour, markersize=size)


def finish(axes):
    from matplotlib import ticker

    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(short))
    axes.grid(True, which="major", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def short(value, _position=None):
    """1024 as 1K, and plain numbers else."""
    return f"{value / 1024:g}K" if value >= 1024 else f"{value:g}"


def note(figure, text):
    figure.supxlabel(text, fontsize=8, color="#555555")


def save(figure, folder, name):
    for kind in ("png", "svg"):
        path = os.path.join(folder, f"{name}.{kind}")
        # No date and no version inside, so that the same results give the same files.
        metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
        figure.savefig(path, dpi=100, bbox_inches="tight", metadata=metadata)
        print(path)


def legend(figure, panels):
    found = {}
    for axes in panels:
        found.update(dict(zip(*reversed(axes.get_legend_handles_labels()))))
    names = [label for label, _, _ in STYLES.values() if label in found]
    figure.legend(
        [found[name] for name in names],
        names,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=5,
        frameon=False,
    )


def draw_times(pyplot, cells, widths, most_rows):
    figure, panels = pyplot.subplots(
        2, len(widths), figsize=(3.3 * len(widths), 6.2), sharex=True, layout="constrained"
    )
    for row, (op, title) in zip(panels, OPS.items()):
        for hidden, axes in zip(widths, row):
            near, far = split_far(time_series(cells[op], hidden, most_rows))
            draw(axes, near)
            finish(axes)
            axes.set_ylim(0, 1.12 * max((us for s in near.values() for _, us in s), default=1))
            for impl, points in far.items():
                label, colour, _ = STYLES[impl]
                text = f"{label}: {points[0][1]:.1f} to {points[-1][1]:.1f}"
                axes.text(0.98, 0.99, text, color=colour, fontsize=8, ha="right", va="top",
                          transform=axes.transAxes)
            axes.set_title(f"{title}, hidden {hidden}", fontsize=10)
        row[0].set_ylabel("microseconds")
    for axes in panels[-1]:
        axes.set_xlabel("rows")
    legend(figure, panels.flat)
    return figure


def draw_copies(pyplot, cells):
    figure, panels = pyplot.subplots(
        1, 2, figsize=(12.5, 4.2), sharey=True, layout="constrained"
    )
    for axes, (op, title) in zip(panels, OPS.items()):
        draw(axes, copy_series(cells[op], op))
        finish(axes)
        axes.set_ylim(0, 115)
        axes.set_xlabel("hidden")
        axes.set_title(title, fontsize=10)
    panels[0].set_ylabel("percent of the copy kernel's bandwidth")
    legend(figure, panels)
    return figure


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results")
    parser.add_argument("folder")
    parser.add_argument("--name", default="h100", help="how the files' names begin")
    parser.add_argument("--hidden", default="1024,4096,7168,16384")
    parser.add_argument("--rows", type=int, default=128, help="most rows of NAME-time")
    args = parser.parse_args(argv)
    try:
        data = record.load(args.results)
    except (OSError, ValueError) as error:
        print(f"plot: {error}", file=sys.stderr)
        return 2
    try:
        import matplotlib
    except ImportError:
        print("plot: matplotlib is not installed, nothing was drawn", file=sys.stderr)
        return 3
    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "rmsjit", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    os.makedirs(args.folder, exist_ok=True)
    cells = {
        op: times(e for e in data["cells"] if e["op"] == op and e["dtype"] == "bf16") for op in OPS
    }
    where = f"bf16, {data['gpu']}, commit {data['commit']}"
    widths = [int(text) for text in args.hidden.split(",")]
    figure = draw_times(pyplot, cells, widths, args.rows)
    note(figure, f"{where}; L2-warm graph replay, PDL where it helps")
    save(figure, args.folder, f"{args.name}-time")
    figure = draw_copies(pyplot, cells)
    note(figure, f"{where}; at least 128 MB, L2-cold; crosses: rows of 2881 and 5125, unaligned")
    save(figure, args.folder, f"{args.name}-copy")
    figure = grid_picture.draw_grid(pyplot, data, OPS, short)
    if figure is not None:
        note(figure, f"{where}; best peer's time over ours, PDL where it helps; italic: L2-cold")
        save(figure, args.folder, f"{args.name}-grid")
    return 0


if __name__ == "__main__":
    sys.exit(main())
