#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws a results file, each picture as PNG and SVG:

  time.*     microseconds against rows at a few hidden sizes, ours and every peer
  copy.*     percent of the copy kernel's bandwidth against hidden, for at least 128 MB moved

  plot.py results.json OUT_FOLDER [--op rmsnorm|fused_add] [--l2 warm|cold] [--hidden 1024,4096]

Each implementation is drawn at the better of PDL off and on. Needs matplotlib; exit status 3
without.
"""

import argparse
import os
import sys
from collections import defaultdict

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from benchlib import grid, record  # noqa: E402

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
    "barrier_floor": ("floor with a barrier", "#bbbbbb", ":"),
}


def best(entries):
    """{(hidden, rows): {impl: fastest entry}} of bf16 entries of one op and temperature."""
    out = defaultdict(dict)
    for entry in entries:
        cell = out[entry["hidden"], entry["rows"]]
        if entry["impl"] not in cell or entry["us"] < cell[entry["impl"]]["us"]:
            cell[entry["impl"]] = entry
    return out


def time_series(cells, hidden):
    """{impl: [(rows, us)]}"""
    out = defaultdict(list)
    for (width, rows), entries in sorted(cells.items()):
        if width == hidden:
            for impl, entry in entries.items():
                out[impl].append((rows, entry["us"]))
    return out


def copy_series(cells):
    """{impl: [(hidden, percent of copy)]}, for each hidden at its smallest shape of 128 MB or
    more."""
    chosen = {}
    for (hidden, rows), entries in sorted(cells.items()):
        large = any(e["bytes"] >= grid.LARGE_BYTES for e in entries.values())
        if large and "copy" in entries and hidden not in chosen:
            chosen[hidden] = entries
    out = defaultdict(list)
    for hidden, entries in sorted(chosen.items()):
        copy = entries["copy"]["bytes"] / entries["copy"]["us"]
        for impl, entry in entries.items():
            if entry["bytes"]:
                out[impl].append((hidden, 100 * entry["bytes"] / entry["us"] / copy))
    return out


def draw(axes, series):
    for impl, (label, colour, line) in reversed(STYLES.items()):
        if impl in series:
            ours = impl == "rmsjit"
            axes.plot(
                *zip(*series[impl]),
                line,
                color=colour,
                label=label,
                marker="o",
                markersize=4 if ours else 2.5,
                linewidth=2.4 if ours else 1.2,
            )
    axes.set_xscale("log", base=2)
    axes.grid(True, which="major", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure, folder, name):
    for kind in ("png", "svg"):
        path = os.path.join(folder, f"{name}.{kind}")
        figure.savefig(path, dpi=150, bbox_inches="tight")
        print(path)


def legend(figure, axes):
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(0.91, 0.5), frameon=False
    )


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results")
    parser.add_argument("folder")
    parser.add_argument("--op", default="rmsnorm", choices=("rmsnorm", "fused_add"))
    parser.add_argument("--l2", default="cold", choices=("warm", "cold"))
    parser.add_argument("--hidden", default="1024,4096,7168,16384")
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
    from matplotlib import pyplot

    os.makedirs(args.folder, exist_ok=True)
    entries = [e for e in data["cells"] if e["op"] == args.op and e["dtype"] == "bf16"]
    title = f"{args.op}, bf16, {data['gpu']}, commit {data['commit']}"

    widths = [int(text) for text in args.hidden.split(",")]
    figure, panels = pyplot.subplots(1, len(widths), figsize=(4 * len(widths), 4), squeeze=False)
    cells = best(e for e in entries if e["l2"] == args.l2)
    for hidden, axes in zip(widths, panels[0]):
        draw(axes, time_series(cells, hidden))
        axes.set_yscale("log", base=2)
        axes.set_title(f"hidden {hidden}")
        axes.set_xlabel("rows")
    panels[0][0].set_ylabel(f"microseconds, L2 {args.l2}")
    legend(figure, max(panels[0], key=lambda a: len(a.lines)))
    figure.suptitle(title, y=1.02)
    save(figure, args.folder, "time")

    figure, axes = pyplot.subplots(figsize=(9, 4.5))
    draw(axes, copy_series(best(e for e in entries if e["l2"] == "cold")))
    axes.set_xlabel("hidden")
    axes.set_ylabel("percent of the copy kernel's bandwidth")
    axes.set_ylim(bottom=0)
    legend(figure, axes)
    axes.set_title(title + ", at least 128 MB moved")
    save(figure, args.folder, "copy")
    return 0


if __name__ == "__main__":
    sys.exit(main())
