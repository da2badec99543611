# SPDX-License-Identifier: Apache-2.0
"""A target and the figures that it is held against. Where several runs measured a cell, their mean
counts, once: a second run of doubtful cells must not weigh them double. A miss is that of the worst
of them, which misses wherever their mean does."""

import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple, Optional

from . import stats


class Figure(NamedTuple):
    value: float  # a ratio that should be large, or microseconds that should be few
    cell: str
    ours_us: float
    pdl: Optional[bool] = None  # None: the better of both
    form: Optional[tuple] = None  # of the entry of ours: cell_group.form
    run: str = ""
    rounds: Optional[tuple] = None  # of ours and of the floor or copy that it is held against


class Miss(NamedTuple):
    cell: str
    ours_us: float
    limit_us: float  # at which the cell would meet the target
    pdl: Optional[bool]
    form: Optional[tuple] = None  # as a figure's
    run: str = ""
    undecided: bool = False  # the interval of our time over the floor's or copy's reaches the limit


@dataclass
class Target:
    name: str
    wanted: str
    measured: str
    worst: str
    verdict: str  # pass, FAIL, open (until a second run), no data
    figures: list = field(default_factory=list)  # of every run
    misses: list = field(default_factory=list)  # of a target that does not pass
    geomean: bool = False  # their geometric mean counts, not each of them

    def summary(self):
        names = ("name", "wanted", "measured", "worst", "verdict")
        return {name: getattr(self, name) for name in names}


def by_cell(figures, mean, worst):
    """For each cell (the mean over its runs, the worst of them)."""
    runs = defaultdict(list)
    for figure in figures:
        runs[figure.cell].append(figure)
    return [(mean([figure.value for figure in same]), worst(same)) for same in runs.values()]


def missed(figure, limit_us):
    undecided = False
    if figure.rounds:
        ours, theirs = figure.rounds
        _, lower, _ = stats.ratio_interval(ours, theirs)
        undecided = lower * stats.median(theirs) <= limit_us
    return Miss(
        figure.cell, figure.ours_us, limit_us, figure.pdl, figure.form, figure.run, undecided
    )


def _target(name, wanted, measured, worst, figures, misses, failed, geomean=False):
    verdict = "FAIL" if failed else "pass"
    misses = sorted(misses, key=lambda miss: miss.limit_us / miss.ours_us) if failed else []
    return Target(name, wanted, measured, worst, verdict, figures, misses, geomean)


def at_least(name, figures, wanted, combine=stats.geomean):
    """A target on a ratio to our time."""
    if not figures:
        return Target(name, f">= {wanted:.2f}x", "-", "", "no data")
    cells = by_cell(figures, stats.geomean, min)
    combined, (least, worst) = combine([mean for mean, _ in cells]), min(cells)
    misses = [missed(f, f.ours_us * f.value / wanted) for mean, f in cells if mean < wanted]
    return _target(
        name,
        f">= {wanted:.2f}x",
        f"{combined:.3f}x over {len(cells)}"
        + (f", {len(misses)} below" if combine is min else ""),
        f"{least:.3f}x {worst.cell}",
        figures,
        misses,
        combined < wanted,
        geomean=combine is not min,
    )


def at_most_us(name, figures, wanted):
    """Each cell's distance in microseconds to a floor."""
    if not figures:
        return Target(name, f"<= {wanted:.2f} us each", "-", "", "no data")
    cells = by_cell(figures, statistics.fmean, max)
    most, worst = max(cells)
    misses = [missed(f, f.ours_us - f.value + wanted) for mean, f in cells if mean > wanted]
    return _target(
        name,
        f"<= {wanted:.2f} us each",
        f"{len(cells) - len(misses)} of {len(cells)}",
        f"{most:+.2f} us {worst.cell}",
        figures,
        misses,
        bool(misses),
    )
