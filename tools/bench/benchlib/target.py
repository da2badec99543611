# SPDX-License-Identifier: Apache-2.0
"""A target and the figures that it is held against. Where several runs measured a cell, their mean
counts, once: a second run of doubtful cells must not weigh them double."""

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


class Miss(NamedTuple):
    cell: str
    ours_us: float
    limit_us: float  # at which the cell would meet the target
    pdl: Optional[bool]
    form: Optional[tuple] = None  # as a figure's


@dataclass
class Target:
    name: str
    wanted: str
    measured: str
    worst: str
    verdict: str  # pass, FAIL, open (until a second run), no data
    figures: list = field(default_factory=list)
    misses: list = field(default_factory=list)  # of a target that does not pass
    geomean: bool = False  # their geometric mean counts, not each of them

    def summary(self):
        names = ("name", "wanted", "measured", "worst", "verdict")
        return {name: getattr(self, name) for name in names}


def by_cell(figures, mean):
    """One figure a cell, of as many as there are runs of it."""
    runs = defaultdict(list)
    for figure in figures:
        runs[figure.cell].append(figure)
    return [
        same[0]._replace(
            value=mean([figure.value for figure in same]),
            ours_us=statistics.fmean(figure.ours_us for figure in same),
        )
        for same in runs.values()
    ]


def _target(name, wanted, measured, worst, figures, misses, failed, geomean=False):
    verdict = "FAIL" if failed else "pass"
    misses = sorted(misses, key=lambda miss: miss.limit_us / miss.ours_us) if failed else []
    return Target(name, wanted, measured, worst, verdict, figures, misses, geomean)


def at_least(name, figures, wanted, combine=stats.geomean):
    """A target on a ratio to our time."""
    if not figures:
        return Target(name, f">= {wanted:.2f}x", "-", "", "no data")
    figures = by_cell(figures, stats.geomean)
    combined, worst = combine([figure.value for figure in figures]), min(figures)
    misses = [
        Miss(f.cell, f.ours_us, f.ours_us * f.value / wanted, f.pdl, f.form)
        for f in figures
        if f.value < wanted
    ]
    return _target(
        name,
        f">= {wanted:.2f}x",
        f"{combined:.3f}x over {len(figures)}"
        + (f", {len(misses)} below" if combine is min else ""),
        f"{worst.value:.3f}x {worst.cell}",
        figures,
        misses,
        combined < wanted,
        geomean=combine is not min,
    )


def at_most_us(name, figures, wanted):
    """Each cell's distance in microseconds to a floor."""
    if not figures:
        return Target(name, f"<= {wanted:.2f} us each", "-", "", "no data")
    figures = by_cell(figures, statistics.fmean)
    worst = max(figures)
    misses = [
        Miss(f.cell, f.ours_us, f.ours_us - f.value + wanted, f.pdl, f.form)
        for f in figures
        if f.value > wanted
    ]
    return _target(
        name,
        f"<= {wanted:.2f} us each",
        f"{len(figures) - len(misses)} of {len(figures)}",
        f"{worst.value:+.2f} us {worst.cell}",
        figures,
        misses,
        bool(misses),
    )
