# SPDX-License-Identifier: Apache-2.0
"""What a whole record says beyond one cell, and what an older record says of ours: the evidence for
the reasons of misses.py."""

from . import cell_group, record
from .grid import ELEMENT_BYTES

MARGIN = 1.02  # on an older record's time: two runs of the same kernel differ by as much


def states(pdl):
    return (False, True) if pdl is None else (pdl,)


def reference(group, impl, pdl):
    found = cell_group.faster([group.reference(impl, state) for state in states(pdl)])
    return found and found["us"]


class Evidence:
    def __init__(self, data):
        self.groups = {}  # by cell and run
        for (key, run), entries in sorted(cell_group.grouped(data).items()):
            group = cell_group.Group(key, entries, False)
            self.groups[group.name, run] = group
        self._least, self._same_bytes = {}, {}
        for group in self.groups.values():
            self._learn(group)

    def group(self, miss):
        """The entries of the miss's own run: times of two runs never stand side by side."""
        return self.groups[miss.cell, miss.run]

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


class Before:
    """Our times in an older record, by cell and form; of several runs the least."""

    def __init__(self, data):
        self.commit, self._times = data["commit"], {}
        self.notes = [
            f"met before: our time at {self.commit} would meet the limit with "
            f"{100 * (MARGIN - 1):.0f} % to spare: a regression."
        ]
        for entry in data["cells"]:
            if entry["impl"] == "rmsjit" and not entry["constant_weight"]:
                key = record.cell_id(entry), cell_group.form(entry)
                self._times[key] = min(entry["us"], self._times.get(key, entry["us"]))

    def met(self, miss):
        """Our time there if it would meet the miss's limit, with a margin; or None."""
        us = self._times.get((miss.cell, miss.form))
        return us if us is not None and MARGIN * us <= miss.limit_us else None
