# SPDX-License-Identifier: Apache-2.0
"""The whole grid as one picture: for each hidden size and number of rows how much faster ours is
than the best peer, best against best, each peer against ours of its own rounding and placement."""

import math
from collections import defaultdict

from . import stats
from .cell_group import Group, grouped, pairs

RANGE = 2.0  # the colours end at twice as fast and at half


def over_best_peer(group):
    """(theirs / ours of the peer that comes closest, its name); None without a peer."""
    best = {}
    for what, ours, theirs in pairs(group):  # "best against best" is the later of a peer's two
        impl = what.split(",")[0]
        best[impl] = theirs["us"] / ours["us"]
    return min(((ratio, impl) for impl, ratio in best.items()), default=None)


def figures(data, op):
    """{(hidden, rows): (ratio, l2)} in bf16: L2-warm where a shape has it, else cold; several runs
    of a cell by their geometric mean."""
    found = defaultdict(list)
    for (key, _), entries in grouped(data).items():
        group = Group(key, entries, False)
        if (group.op, group.dtype) == (op, "bf16") and (over := over_best_peer(group)):
            found[group.hidden, group.rows, group.l2].append(over[0])
    out = {}
    for (hidden, rows, l2), ratios in found.items():
        if l2 == "warm" or (hidden, rows, "warm") not in found:
            out[hidden, rows] = stats.geomean(ratios), l2
    return out


def draw_panel(axes, cells, widths, rows, short):
    """Returns what the colour bar needs."""
    table = [
        [math.log2(cells[w, r][0]) if (w, r) in cells else math.nan for w in widths] for r in rows
    ]
    limit = math.log2(RANGE)
    image = axes.imshow(table, cmap="RdYlGn", vmin=-limit, vmax=limit, aspect="auto")
    for y, r in enumerate(rows):
        for x, w in enumerate(widths):
            if (w, r) in cells:
                ratio, l2 = cells[w, r]
                style = "normal" if l2 == "warm" else "italic"
                axes.text(x, y, f"{ratio:.2f}", ha="center", va="center", fontsize=6.5, style=style)
    axes.set_xticks(range(len(widths)), [str(w) if w % 1024 else short(w) for w in widths])
    axes.set_yticks(range(len(rows)), [short(r) for r in rows])
    axes.tick_params(length=0, labelsize=7.5)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("rows")
    return image


def draw_grid(pyplot, data, ops, short):
    """None if no cell has a peer."""
    cells = {op: figures(data, op) for op in ops}
    shapes = {shape for found in cells.values() for shape in found}
    if not shapes:
        return None
    widths, rows = (sorted({shape[i] for shape in shapes}) for i in (0, 1))
    size = (max(5.0, 0.42 * len(widths) + 1.6), max(3.0, 0.5 * len(rows) + 1.2))
    figure, panels = pyplot.subplots(2, 1, figsize=size, sharex=True, layout="constrained")
    for axes, (op, title) in zip(panels, ops.items()):
        image = draw_panel(axes, cells[op], widths, rows, short)
        axes.set_title(title, fontsize=10)
    panels[-1].set_xlabel("hidden")
    bar = figure.colorbar(image, ax=panels, shrink=0.6, pad=0.01, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.ax.set_yticklabels(["half as fast", "0.71", "as fast", "1.41", "twice as fast"], fontsize=8)
    bar.outline.set_visible(False)
    return figure
