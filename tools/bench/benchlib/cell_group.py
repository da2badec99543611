# SPDX-License-Identifier: Apache-2.0
"""The entries of one cell in one run, the questions that targets ask of them, and the rule for
"slower than a peer". Entries of one run were interleaved; entries of different runs never compare.
"""

from collections import defaultdict

from . import record, stats
from .grid import LARGE_BYTES

REFERENCES = ("copy", "empty", "floor", "barrier_floor", "landed_floor")
SLOWER = 1.02
RUNS_TO_CONFIRM = 2
CONFIRMED, UNCONFIRMED = "confirmed", "to be confirmed by a second run"


class Group:
    """The entries of one cell in one run, asked the questions that targets ask."""

    def __init__(self, key, entries, constant_weight):
        self.op, self.dtype, self.hidden, self.rows, self.heads, self.l2 = key
        self.name = f"{self.op}/{self.dtype}/h{self.hidden}/r{self.rows}/n{self.heads}/{self.l2}"
        self.entries, self.run = entries, entries[0]["run"] if entries else ""
        self._constant_weight = constant_weight

    def ours(self, pdl, maths=None):
        """Our entry with this PDL and (rounding, in_place); by default the out-of-place first
        one."""
        found = [
            e
            for e in self.entries
            if e["impl"] == "rmsjit"
            and e["pdl"] == pdl
            and (maths is None and not e["in_place"] or maths == (e["rounding"], e["in_place"]))
        ]
        if maths is None and found:
            found = [e for e in found if e["rounding"] == found[0]["rounding"]]
        wanted = [e for e in found if e["constant_weight"] == (self._constant_weight and pdl)]
        return (wanted or found or [None])[0]

    def reference(self, impl, pdl):
        found = [e for e in self.entries if e["impl"] == impl and e["pdl"] == pdl]
        wanted = [e for e in found if e["constant_weight"] == (self._constant_weight and pdl)]
        return (wanted or found or [None])[0]

    def peers(self):
        """{impl: [entries]} of the peers."""
        out = defaultdict(list)
        for entry in self.entries:
            if entry["impl"] not in REFERENCES + ("rmsjit",):
                out[entry["impl"]].append(entry)
        return out

    @property
    def decode(self):
        return (
            self.dtype == "bf16"
            and self.op in ("rmsnorm", "fused_add")
            and self.rows <= 128
            and self.l2 == "warm"
        )

    @property
    def large(self):
        return (
            self.dtype == "bf16"
            and self.op in ("rmsnorm", "fused_add")
            and self.moved() >= LARGE_BYTES
        )

    def moved(self):
        return max((e["bytes"] for e in self.entries), default=0)


def maths(entry):
    return entry["rounding"], entry["in_place"]


def form(entry):
    """Which of our launches in a cell the entry is: what a profile of it has to launch."""
    return entry["pdl"], entry["rounding"], entry["in_place"]


def faster(entries):
    entries = [e for e in entries if e is not None]
    return min(entries, key=lambda e: e["us"]) if entries else None


def pairs(group):
    """(what, ours, theirs): PDL off against off, and best against best, for each peer."""
    for impl, entries in sorted(group.peers().items()):
        same = maths(entries[0])
        off = next((e for e in entries if not e["pdl"]), None)
        ours_off = group.ours(False, same)
        if off is not None and ours_off is not None:
            yield f"{impl}, PDL off", ours_off, off
        best = faster([ours_off, group.ours(True, same)])
        if best is not None and (best["pdl"] or len(entries) > 1):
            yield f"{impl}, best against best", best, faster(entries)


def grouped(data):
    """{(cell key, run): [entries]}: entries of one run were interleaved, others never compare."""
    out = defaultdict(list)
    for entry in data["cells"]:
        out[tuple(entry[name] for name in record.KEY), entry["run"]].append(entry)
    return out


def to_confirm(data):
    """Ids of the cells that one run alone calls slower."""
    return {
        item["cell"]
        for constant_weight in (False, True)
        for item in slower_cells(grouped(data), constant_weight)
        if item["status"] == UNCONFIRMED
    }


def slower_cells(groups, constant_weight=False):
    """Where every run says that a peer is faster, worst first."""
    seen = defaultdict(list)
    for (key, run), entries in groups.items():
        group = Group(key, entries, constant_weight)
        for what, ours, theirs in pairs(group):
            ratio = lower = upper = ours["us"] / theirs["us"]
            if ratio > 1:  # only then can the interval's lower end be over the limit
                ratio, lower, upper = stats.ratio_interval(ours["rounds"], theirs["rounds"])
            seen[group.name, what].append(
                {
                    "cell": group.name,
                    "what": what,
                    "ratio": round(ratio, 4),
                    "lower": round(lower, 4),
                    "upper": round(upper, 4),
                    "ours_us": ours["us"],
                    "theirs_us": theirs["us"],
                    "form": form(ours),
                    "run": run,
                }
            )
    out = []
    for found in seen.values():
        if all(item["lower"] > SLOWER for item in found):
            worst = max(found, key=lambda item: item["ratio"])
            status = CONFIRMED if len(found) >= RUNS_TO_CONFIRM else UNCONFIRMED
            out.append({**worst, "status": status})
    return sorted(out, key=lambda item: -item["ratio"])
