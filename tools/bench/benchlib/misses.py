# SPDX-License-Identifier: Apache-2.0
"""Each cell that misses a target, with what the same run measured beside it, and the reason where
the record has one. It proves one where the time at which the cell would meet the target (its limit)
is less than what the hardware took, and has observed one where that is less than what every
implementation took. What has none has the figures of its profile, where there is one, and otherwise
says so. A limit that ours met in an older record can be met, whatever else is said of it.

The barrier floor bounds a kernel that keeps its row in registers; where any implementation was
faster than it at the same operation, width and PDL, it bounds nothing and proves nothing. The
landed floor bounds one whose row is one block's, so a limit below it is an observation, and none
where any implementation was faster in the cell.
"""

from collections import Counter, defaultdict

from . import cell_group, stats
from .evidence import Before, Evidence, reference, states
from .grid import ELEMENT_BYTES

UNKNOWN = "no reason known"
PROFILED = "no reason in the record: see the profile"
BELOW_FLOOR = "limit below the barrier floor"
BELOW_LANDED = "limit below the floor whose loads have landed"
NOBODY_CLOSER = "nobody was seen so close to the barrier floor at this width"
SAME_BYTES = "limit below every floor of as many bytes"
UNDECIDED = "undecided: the interval reaches the target"
MEAN_ALONE = "part of the mean alone"
MET_BEFORE = "met before"
NO_REASON = (UNKNOWN, MEAN_ALONE)  # what a profile is for
# How the head counts them: a limit that nobody came near is no proof that nobody can.
KINDS = {
    BELOW_FLOOR: "proved",
    BELOW_LANDED: "observed",  # a cluster's blocks can share a row
    SAME_BYTES: "proved",
    NOBODY_CLOSER: "observed",
    UNDECIDED: "undecided",
    MET_BEFORE: "met before",
    MEAN_ALONE: "part of a mean alone",
    PROFILED: "profiled",
    UNKNOWN: "unknown",
}
FLOOR_PACKS = 4096  # of 16 bytes: what the floor kernels hold of a row at once


def reason(evidence, miss):
    """What the record has against the miss's limit."""
    group = evidence.group(miss)
    floor = reference(group, "barrier_floor", miss.pdl)
    nearest = evidence.nearest(group, miss.pdl)
    in_registers = group.hidden * ELEMENT_BYTES[group.dtype] <= 16 * FLOOR_PACKS
    bounded = nearest is not None and nearest >= floor and in_registers
    if bounded and miss.limit_us < floor:
        return BELOW_FLOOR
    landed = reference(group, "landed_floor", miss.pdl)
    if landed is not None and miss.limit_us < landed <= fastest(group, miss.pdl):
        return BELOW_LANDED
    if bounded and miss.limit_us < nearest:
        return NOBODY_CLOSER
    bare = evidence.floor_of_same_bytes(group, miss.pdl) if group.op == "qk" else None
    if bare is not None and miss.limit_us < bare <= miss.ours_us:
        return SAME_BYTES
    return UNKNOWN


def fastest(group, pdl):
    """Of ours and the peers."""
    entries = [e for e in group.entries if e["impl"] not in cell_group.REFERENCES]
    return min(e["us"] for e in entries if e["pdl"] in states(pdl) and not e["constant_weight"])


def launch(miss):
    """Which launch of ours in a cell it is of, told apart by PDL."""
    return miss.cell, miss.form[0]


def over(miss):
    return miss.ours_us / miss.limit_us


class Reasons:
    """What is said of each miss of the targets `found`."""

    def __init__(self, data, found, profiles=None, before=None):
        self.evidence, self.profiles = Evidence(data), profiles
        self.before = Before(before) if before else None
        each = (target for target in found if not target.geomean)
        self._alone = {launch(miss) for target in each for miss in target.misses}

    def kind(self, target, miss):
        if self.before and self.before.met(miss):
            return MET_BEFORE
        if miss.undecided:
            return UNDECIDED
        found = reason(self.evidence, miss)
        if found == UNKNOWN and target.geomean and launch(miss) not in self._alone:
            return MEAN_ALONE
        return found

    def told(self, target, miss):
        """(the kind of reason, the reason and what the profile says)."""
        kind = text = self.kind(target, miss)
        if kind == MET_BEFORE:
            text += f": {self.before.met(miss):.2f} us at {self.before.commit}"
        figures = self.profiles.line(miss) if self.profiles else ""
        if figures and kind == UNKNOWN:
            return PROFILED, figures
        return kind, f"{text}; {figures}" if figures else text


def unexplained(reasons, found):
    """The misses without a reason in the record, worst first: of each launch of ours the worst."""
    worst = {}
    for target in found:
        for miss in target.misses:
            if reasons.kind(target, miss) in NO_REASON:
                worst[launch(miss)] = max(miss, worst.get(launch(miss), miss), key=over)
    return sorted(worst.values(), key=over, reverse=True)


def best_peer(group, pdl):
    entries = [e for found in group.peers().values() for e in found]
    return cell_group.faster([e for e in entries if e["pdl"] in states(pdl)])


def number(value):
    return f"{'-':>8}" if value is None else f"{value:8.2f}"


def line(evidence, miss, text):
    group = evidence.group(miss)
    figures = [reference(group, impl, miss.pdl) for impl in cell_group.REFERENCES]
    figures.append(evidence.nearest(group, miss.pdl))
    state = {None: "best", False: "off", True: "on"}[miss.pdl]
    peer = best_peer(group, miss.pdl)
    peer = f"{peer['impl']} {peer['us']:.2f}" if peer else "-"
    return (
        f"  {miss.cell:<38} {state:<4} {miss.ours_us:8.2f} {miss.limit_us:8.2f} "
        f"{over(miss):6.3f} {' '.join(map(number, figures))}  {peer:<22} {text}"
    )


def attainable(evidence, target):
    """What a geometric mean would be if each cell took the barrier floor's time, or the nearest to
    it: over the cells that have a floor, each run against its own."""
    ratios = defaultdict(list)  # of each cell and run (now, at the floor, at the nearest)
    for figure in target.figures:
        group = evidence.group(figure)
        closest = evidence.nearest(group, figure.pdl)
        if closest is not None:
            theirs = figure.value * figure.ours_us
            floor = reference(group, "barrier_floor", figure.pdl)
            ratios[figure.cell].append((figure.value, theirs / floor, theirs / closest))
    if not ratios:
        return []
    cells = [[stats.geomean(values) for values in zip(*runs)] for runs in ratios.values()]
    now, at_floor, nearest = (stats.geomean(values) for values in zip(*cells))
    count = len({figure.cell for figure in target.figures})
    return [
        f"  over the {len(cells)} of {count} cells with a floor: "
        f"now {now:.3f}x, at nearest {nearest:.3f}x, at barrier {at_floor:.3f}x"
    ]


HEAD = (
    f"  {'cell':<38} {'PDL':<4} {'ours':>8} {'limit':>8} {'over':>6} "
    + " ".join(f"{impl:>8}" for impl in ("copy", "empty", "floor", "barrier", "landed", "nearest"))
    + f"  {'best peer':<22} reason"
)


def lines(reasons, found):
    """Text: how many misses are of which kind; each target that is missed, what could be reached,
    and its cells, worst first."""
    out, cells, counts = [], defaultdict(set), dict.fromkeys(KINDS.values(), 0)
    for target in found:
        if not target.misses:
            continue
        told = [(miss, *reasons.told(target, miss)) for miss in target.misses]
        for miss, kind, _ in told:
            counts[KINDS[kind]] += 1
            cells[miss.cell].add(kind)
        out += ["", f"{target.name}: {target.measured}, target {target.wanted}"]
        out += attainable(reasons.evidence, target) if target.geomean else []
        kinds = Counter(kind for _, kind, _ in told).most_common()
        out += [f"  {count:4d}  {kind}" for kind, count in kinds]
        out += [HEAD] + [line(reasons.evidence, miss, text) for miss, _, text in told]
    return head(reasons, cells, counts) + out


def head(reasons, cells, counts):
    no_reason = sum(not kinds.isdisjoint((UNKNOWN, PROFILED)) for kinds in cells.values())
    unknown = sum(UNKNOWN in kinds for kinds in cells.values())
    shown = ", ".join(f"{count} {name}" for name, count in counts.items())
    return [
        f"{len(cells)} cells miss a target; for {no_reason} the record has no reason of at least "
        f"one miss, and for {unknown} that has no profile either.",
        f"Misses by kind: {shown}; {sum(counts.values())} in all.",
        *(reasons.profiles.notes if reasons.profiles else []),
        "Microseconds. limit: the time at which the cell would meet the target; barrier, landed:",
        "those floors; nearest: the barrier floor and the least that anybody took over it at this",
        "width. A row is of one run, of several the worst.",
        *(reasons.before.notes if reasons.before else []),
    ]
