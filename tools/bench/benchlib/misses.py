# SPDX-License-Identifier: Apache-2.0
"""Each cell that misses a target, with what the same round measured beside it, and the reason where
the record alone proves one: the time at which the cell would meet the target (its limit) is less
than what the hardware or every implementation took. What has no such proof has the figures of its
profile, where there is one, and otherwise says so.

The barrier floor bounds a kernel that keeps its row in registers; where any implementation was
faster than it at the same operation, width and PDL, it bounds nothing and proves nothing.
"""

from collections import Counter, defaultdict

from . import cell_group, stats
from .grid import ELEMENT_BYTES

UNKNOWN = "no reason known"
PROFILED = "no reason in the record: see the profile"
BELOW_FLOOR = "limit below the barrier floor"
NOBODY_CLOSER = "nobody comes so close to the barrier floor at this width"
SAME_BYTES = "limit below every floor of as many bytes"
FLOOR_PACKS = 4096  # of 16 bytes: what the floor kernels hold of a row at once


def states(pdl):
    return (False, True) if pdl is None else (pdl,)


def reference(group, impl, pdl):
    found = cell_group.faster([group.reference(impl, state) for state in states(pdl)])
    return found and found["us"]


class Evidence:
    """What the whole record says beyond one cell."""

    def __init__(self, data):
        self.groups = {}
        for (key, _), entries in sorted(cell_group.grouped(data).items()):
            group = cell_group.Group(key, entries, False)
            self.groups[group.name] = group  # of two runs the later
        self._least, self._same_bytes = {}, {}
        for group in self.groups.values():
            self._learn(group)

    def _learn(self, group):
        for pdl in (False, True):
            floor = group.reference("barrier_floor", pdl)
            if floor is None:
                continue
            if group.op == "rmsnorm":
                bare = group.reference("floor", pdl) or floor
                self._lower(self._same_bytes, self._bytes_key(group, pdl), bare["us"])
            for entry in group.entries:
                if entry["impl"] in cell_group.REFERENCES or entry["pdl"] != pdl:
                    continue
                if not entry["constant_weight"]:
                    gap = entry["us"] - floor["us"]
                    self._lower(self._least, self._width_key(group, pdl), gap)

    @staticmethod
    def _lower(table, key, value):
        table[key] = min(value, table.get(key, value))

    @staticmethod
    def _width_key(group, pdl):
        return group.op, group.dtype, group.hidden, group.rows <= 128, group.l2, pdl

    @staticmethod
    def _bytes_key(group, pdl):
        elements = group.rows * group.heads * group.hidden
        return elements * ELEMENT_BYTES[group.dtype], group.l2, pdl

    def nearest(self, group, pdl):
        """The cell's barrier floor and the least that anybody took over it at this width, or
        None."""
        floor = reference(group, "barrier_floor", pdl)
        gaps = [self._least.get(self._width_key(group, state)) for state in states(pdl)]
        gap = min((gap for gap in gaps if gap is not None), default=None)
        return None if floor is None or gap is None else floor + gap

    def floor_of_same_bytes(self, group, pdl):
        found = [self._same_bytes.get(self._bytes_key(group, state)) for state in states(pdl)]
        return min((us for us in found if us is not None), default=None)


def reason(evidence, group, miss):
    floor = reference(group, "barrier_floor", miss.pdl)
    nearest = evidence.nearest(group, miss.pdl)
    in_registers = group.hidden * ELEMENT_BYTES[group.dtype] <= 16 * FLOOR_PACKS
    if nearest is not None and nearest >= floor and in_registers:
        if miss.limit_us < floor:
            return BELOW_FLOOR
        if miss.limit_us < nearest:
            return NOBODY_CLOSER
    bare = evidence.floor_of_same_bytes(group, miss.pdl) if group.op == "qk" else None
    if bare is not None and miss.limit_us < bare <= miss.ours_us:
        return SAME_BYTES
    return UNKNOWN


def over(miss):
    return miss.ours_us / miss.limit_us


def unexplained(evidence, found):
    """The misses of which the record proves no reason, worst first: of each launch of ours in a
    cell, told apart by PDL, the worst."""
    worst = {}
    for miss in (miss for target in found for miss in target.misses):
        if reason(evidence, evidence.groups[miss.cell], miss) == UNKNOWN:
            key = miss.cell, miss.form[0]
            worst[key] = max(miss, worst.get(key, miss), key=over)
    return sorted(worst.values(), key=over, reverse=True)


def best_peer(group, pdl):
    entries = [e for found in group.peers().values() for e in found]
    return cell_group.faster([e for e in entries if e["pdl"] in states(pdl)])


def number(value):
    return f"{'-':>8}" if value is None else f"{value:8.2f}"


def explained(evidence, profiles, miss):
    """(the kind of reason, the reason and what the profile says)."""
    proved = reason(evidence, evidence.groups[miss.cell], miss)
    figures = profiles.line(miss) if profiles else ""
    if not figures:
        return proved, proved
    if proved == UNKNOWN:
        return PROFILED, figures
    return proved, f"{proved}; {figures}"


def line(evidence, miss, text):
    group = evidence.groups[miss.cell]
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
    it: over the cells that have a floor."""
    now, at_floor, nearest = [], [], []
    for figure in target.figures:
        group = evidence.groups[figure.cell]
        floor = reference(group, "barrier_floor", figure.pdl)
        closest = evidence.nearest(group, figure.pdl)
        if closest is None:
            continue
        theirs = figure.value * figure.ours_us
        now.append(figure.value)
        at_floor.append(theirs / floor)
        nearest.append(theirs / closest)
    if not now:
        return []
    figures = [stats.geomean(values) for values in (now, at_floor, nearest)]
    return [
        f"  over the {len(now)} of {len(target.figures)} cells with a floor: "
        f"now {figures[0]:.3f}x, at nearest {figures[2]:.3f}x, at barrier {figures[1]:.3f}x"
    ]


HEAD = (
    f"  {'cell':<38} {'PDL':<4} {'ours':>8} {'limit':>8} {'over':>6} "
    + " ".join(f"{impl:>8}" for impl in ("copy", "empty", "floor", "barrier", "nearest"))
    + f"  {'best peer':<22} reason"
)


SOURCES = {UNKNOWN: "neither", PROFILED: "the profile"}  # of all other reasons: the record


def lines(data, found, profiles=None):
    """Text: how many misses have a reason from where; each target that is missed, what could be
    reached, and its cells, worst first."""
    evidence, out = Evidence(data), []
    cells, sources = defaultdict(set), Counter()
    for target in found:
        if not target.misses:
            continue
        told = [(miss, *explained(evidence, profiles, miss)) for miss in target.misses]
        for miss, kind, _ in told:
            sources[SOURCES.get(kind, "the record")] += 1
            cells[miss.cell].add(kind)
        out += ["", f"{target.name}: {target.measured}, target {target.wanted}"]
        out += attainable(evidence, target) if target.geomean else []
        reasons = Counter(kind for _, kind, _ in told).most_common()
        out += [f"  {count:4d}  {kind}" for kind, count in reasons]
        out += [HEAD] + [line(evidence, miss, text) for miss, _, text in told]
    unproved = sum(not kinds.isdisjoint(SOURCES) for kinds in cells.values())
    unknown = sum(UNKNOWN in kinds for kinds in cells.values())
    counts = (f"{sources[name]} {name}" for name in ("the record", "the profile", "neither"))
    return [
        f"{len(cells)} cells miss a target; for {unproved} the record proves no reason of at least "
        f"one miss, and for {unknown} that has no profile either.",
        f"Misses by where their reason is from: {', '.join(counts)}; {sources.total()} in all.",
        *(profiles.notes if profiles else []),
        "Microseconds. limit: the time at which the cell would meet the target; barrier: the",
        "barrier floor; nearest: that and the least that anybody took over it at this width.",
    ] + out
