# SPDX-License-Identifier: Apache-2.0
"""tools/bench/compare.py --misses: which cells miss, and the reasons that a record can prove."""

import unittest

from bench_results import entry, results
import compare
from benchlib import grid, misses


def lines(entries, before=None):
    data = results(entries)
    found = compare.report(data, False)[0]
    return misses.lines(misses.Reasons(data, found, before=before), found)


def reason_of(entries, cell, target, before=None):
    """What is said of the cell under the first target whose name has these words."""
    found = lines(entries, before)
    first = next(i for i, line in enumerate(found) if target in line)
    return next(line for line in found[first:] if line.startswith(f"  {cell.id} "))


def cell_of(cell, ours, barrier, peer, pdl=False, name="quack"):
    return [
        entry(cell, "rmsjit", ours, pdl),
        entry(cell, name, peer, pdl),
        entry(cell, "barrier_floor", barrier, pdl),
        entry(cell, "floor", barrier, pdl),
    ]


class Misses(unittest.TestCase):
    one = grid.Cell("rmsnorm", "bf16", 4096, 1)
    more = grid.Cell("rmsnorm", "bf16", 4096, 64)
    off = "PDL off, hidden 4096..16384: best peer"

    def test_a_limit_below_the_barrier_floor_is_a_reason_unless_somebody_was_faster_than_it(self):
        entries = cell_of(self.one, 1.10, 1.05, 1.2)  # the target's limit is 1.0
        self.assertIn(misses.BELOW_FLOOR, reason_of(entries, self.one, self.off))
        entries += cell_of(self.more, 1.30, 1.4, 1.35)  # faster than its floor: it is no bound
        self.assertIn(misses.MEAN_ALONE, reason_of(entries, self.one, self.off))

    def test_a_limit_below_the_landed_floor_is_a_reason_unless_somebody_in_the_cell_was_faster(self):
        entries = cell_of(self.one, 1.50, 1.0, 1.60)  # the target's limit is 1.33
        entries += cell_of(self.more, 2.3, 2.0, 2.4)  # close enough to its barrier floor
        self.assertNotIn(misses.BELOW_LANDED, reason_of(entries, self.one, self.off))
        landed = [entry(self.one, "landed_floor", 1.34)]
        self.assertIn(misses.BELOW_LANDED, reason_of(entries + landed, self.one, self.off))
        self.assertEqual(misses.KINDS[misses.BELOW_LANDED], "observed")
        cluster = [entry(self.one, "quack", 1.33, rounding="twice")]
        found = reason_of(entries + landed + cluster, self.one, self.off)
        self.assertNotIn(misses.BELOW_LANDED, found)
        reached = [entry(self.one, "landed_floor", 1.32)]
        self.assertNotIn(misses.BELOW_LANDED, reason_of(entries + reached, self.one, self.off))

    def test_a_limit_closer_to_the_floor_than_anybody_at_this_width_is_an_observation(self):
        entries = cell_of(self.one, 1.50, 1.0, 1.68) + cell_of(self.more, 2.45, 2.0, 2.5)
        self.assertIn(misses.NOBODY_CLOSER, reason_of(entries, self.one, self.off))
        self.assertIn("nobody was seen so close", misses.NOBODY_CLOSER)
        self.assertRegex(lines(entries)[1], "^Misses by kind: 0 proved, [1-9] observed, ")
        # A peer that comes as close as the limit, at another row count, takes the reason away.
        entries.append(entry(self.more, "liger", 2.3, rounding="twice"))
        self.assertIn(misses.UNKNOWN, reason_of(entries, self.one, self.off))

    def test_a_cell_that_misses_nothing_by_itself_is_part_of_the_mean_alone(self):
        entries = [entry(self.one, "rmsjit", 1.1), entry(self.one, "quack", 1.2)]
        self.assertIn(misses.MEAN_ALONE, reason_of(entries, self.one, self.off))
        self.assertIn("for 0 the record has no reason", lines(entries)[0])
        self.assertIn("1 part of a mean alone, 0 profiled, 0 unknown; 1 in all", lines(entries)[1])
        # With PDL the cell's distance from the floor misses: that is another launch of ours.
        pdl = [entry(self.one, "rmsjit", 1.6, True), entry(self.one, "barrier_floor", 1.0, True)]
        pdl.append(entry(self.one, "flashinfer", 1.3, True))
        self.assertIn(misses.MEAN_ALONE, reason_of(entries + pdl, self.one, self.off))
        # Without it, it does.
        floor = [entry(self.one, "barrier_floor", 0.5), entry(self.more, "quack", 1.0)]
        floor += [entry(self.more, "rmsjit", 0.9), entry(self.more, "barrier_floor", 1.0)]
        self.assertIn(misses.UNKNOWN, reason_of(entries + floor, self.one, self.off))

    def test_where_the_interval_reaches_the_target_the_miss_is_undecided(self):
        def said(rounds, impl, us, target, cell):
            ours = entry(cell, "rmsjit", 1.3)
            ours["rounds"], ours["us"] = rounds, sorted(rounds)[4]
            return reason_of([ours, entry(cell, impl, us)], cell, target)

        sure, wide = [1.3] * 9, [1.2] * 4 + [1.3] * 5
        floor, large = "decode to barrier_floor, PDL off", grid.Cell("qk", "bf16", 128, 32, 32)
        self.assertIn(misses.UNDECIDED, said(wide, "barrier_floor", 1.0, floor, self.one))
        self.assertNotIn(misses.UNDECIDED, said(sure, "barrier_floor", 1.0, floor, self.one))
        self.assertIn(misses.UNDECIDED, said(wide, "copy", 1.25, "strided", large))
        self.assertNotIn(misses.UNDECIDED, said(sure, "copy", 1.25, "strided", large))

    def test_a_limit_that_ours_met_before_in_the_same_form_can_be_met(self):
        entries = cell_of(self.one, 1.10, 1.05, 1.2)  # the target's limit is 1.0

        def said(us, **form):
            older = {**results([entry(self.one, "rmsjit", us, **form)]), "commit": "0ld"}
            return reason_of(entries, self.one, self.off, older)

        self.assertRegex(said(0.97), r" met before: 0\.97 us at 0ld$")
        self.assertIn(misses.BELOW_FLOOR, said(0.99))  # within 2 %: no more than a run's difference
        self.assertIn(misses.BELOW_FLOOR, said(0.5, pdl=True))
        self.assertIn(misses.BELOW_FLOOR, said(0.5, rounding="twice"))
        self.assertIn(misses.BELOW_FLOOR, said(0.5, in_place=True))
        older = {**results([entry(self.one, "rmsjit", 0.9)]), "commit": "0ld"}
        found = lines(entries, older)
        self.assertIn(" 1 met before, ", found[1])
        self.assertIn("our time at 0ld would meet the limit with 2 % to spare", "".join(found[:6]))

    def test_all_figures_of_a_row_are_of_the_run_that_decides(self):
        def run(name, ours, barrier, peer):
            found = cell_of(self.one, ours, barrier, peer)
            return [{**entry, "run": name} for entry in found]

        entries = run("a", 1.5, 1.0, 1.3) + run("b", 1.2, 0.9, 1.15)
        # The worst against the peer is 1.5 / 1.3 of the first run.
        row = reason_of(entries, self.one, "never slower than a peer")
        self.assertRegex(row, r" off +1\.50 +1\.33 +1\.1\d\d .* 1\.00 +1\.00 .* quack 1\.30 ")
        # As far as the barrier floor goes as well: 0.5 and 0.3 beyond it.
        row = reason_of(entries, self.one, "decode to barrier_floor")
        self.assertRegex(row, r" off +1\.50 +1\.25 .* 1\.00 +1\.00 .* quack 1\.30 ")
        entries = run("a", 1.2, 0.9, 1.15) + run("b", 1.5, 1.0, 1.3)
        row = reason_of(entries, self.one, "decode to barrier_floor")
        self.assertRegex(row, r" off +1\.50 +1\.25 .* 1\.00 +1\.00 .* quack 1\.30 ")

    def test_another_width_or_pdl_proves_nothing(self):
        entries = cell_of(self.one, 1.50, 1.0, 1.68)
        entries += cell_of(grid.Cell("rmsnorm", "bf16", 5120, 1), 1.1, 1.0, 1.15)
        entries += cell_of(self.one, 1.1, 1.0, 1.2, True, "flashinfer")
        self.assertIn(misses.NOBODY_CLOSER, reason_of(entries, self.one, self.off))

    def test_a_peer_that_is_faster_is_never_explained_away(self):
        entries = cell_of(self.one, 1.50, 1.3, 1.4)
        line = reason_of(entries, self.one, "never slower than a peer")
        self.assertIn(misses.UNKNOWN, line)
        self.assertRegex(line, r" off +1\.50 +1\.43 +1\.05\d .* quack 1\.40 ")

    def test_a_row_that_no_floor_kernel_holds_has_no_floor_as_a_reason(self):
        long = grid.Cell("rmsnorm", "bf16", 65536, 1024, 1, "cold")
        entries = cell_of(long, 120.0, 115.0, 130.0) + [entry(long, "copy", 100.0)]
        self.assertIn(misses.UNKNOWN, reason_of(entries, long, "hidden >= 32768"))

    def test_heads_are_held_against_the_floor_of_as_many_bytes(self):
        heads = grid.Cell("qk", "bf16", 128, 32, 32)
        entries = [entry(heads, "rmsjit", 1.2), entry(heads, "copy", 1.0)]
        self.assertIn(misses.UNKNOWN, reason_of(entries, heads, "strided"))
        same = grid.Cell("rmsnorm", "bf16", 1024, 128)
        entries += cell_of(same, 1.3, 1.1, 1.4)
        self.assertIn(misses.SAME_BYTES, reason_of(entries, heads, "strided"))
        faster = [entry(heads, "rmsjit", 1.05), *entries[1:]]  # then it is no bound either
        self.assertIn(misses.UNKNOWN, reason_of(faster, heads, "strided"))
        entries += cell_of(grid.Cell("rmsnorm", "bf16", 2048, 64), 1.3, 0.9, 1.4)
        self.assertIn(misses.UNKNOWN, reason_of(entries, heads, "strided"))

    def test_a_geometric_mean_is_shown_at_the_floor_and_at_the_least_distance_from_it(self):
        entries = cell_of(self.one, 1.50, 1.0, 1.60) + cell_of(self.more, 2.25, 2.0, 2.25)
        found = "\n".join(lines(entries))
        # (1.6 / 1.5, 1), (1.6 / 1.25, 1) and (1.6 / 1, 2.25 / 2)
        wanted = r"2 of 2 cells .*: now 1\.03\dx, at nearest 1\.13\dx, at barrier 1\.34\dx"
        self.assertRegex(found, wanted)

    def test_cells_of_a_target_that_passes_are_not_listed(self):
        entries = cell_of(self.one, 1.0, 0.9, 1.1) + cell_of(self.more, 1.0, 0.9, 1.5)
        self.assertEqual(lines(entries)[0].split(" cells")[0], "0")
        entries = cell_of(self.one, 1.2, 0.9, 1.5)
        self.assertIn("1 cells miss a target", lines(entries)[0])
        line = reason_of(entries, self.one, "decode to barrier_floor, PDL off: 0 of 1")
        self.assertRegex(line, r" off +1\.20 +1\.15 ")


if __name__ == "__main__":
    unittest.main()
