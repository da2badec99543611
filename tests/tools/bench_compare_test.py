# SPDX-License-Identifier: Apache-2.0
"""tools/bench/compare.py: made-up results against the targets, and the rule for "slower"."""

import unittest

from bench_results import entry, results
import compare
from benchlib import grid


def verdicts(entries):
    found, slower = compare.report(results(entries), False)
    return {target.name: target for target in found}, slower


class Targets(unittest.TestCase):
    decode = grid.Cell("rmsnorm", "bf16", 4096, 16)
    large = grid.Cell("rmsnorm", "bf16", 4096, 16384, 1, "cold")

    def test_pdl_is_compared_with_pdl(self):
        found, _ = verdicts(
            [
                entry(self.decode, "rmsjit", 1.0, True),
                entry(self.decode, "flashinfer_cuda", 1.6, True),
                entry(self.decode, "flashinfer_cuda", 0.5, False),
            ]
        )
        name = "rmsnorm, warm, rows <= 128, PDL: FlashInfer's CUDA kernels"
        self.assertEqual(found[name].verdict, "pass")
        self.assertIn("1.6", found[name].measured)

    def test_the_peers_rounding_picks_our_kernel(self):
        entries = [
            entry(self.decode, "rmsjit", 1.0, rounding="once"),
            entry(self.decode, "rmsjit", 3.0, rounding="twice"),
            entry(self.decode, "liger", 2.0, rounding="twice"),
        ]
        _, slower = verdicts(entries)
        self.assertEqual([item["what"] for item in slower], ["liger, PDL off"])

    def test_slower_needs_every_run_and_two_of_them(self):
        once = [entry(self.decode, "rmsjit", 1.1), entry(self.decode, "quack", 1.0)]
        _, slower = verdicts(once)
        self.assertEqual(slower[0]["status"], "to be confirmed by a second run")
        again = [
            entry(self.decode, "rmsjit", 1.1, run="b"),
            entry(self.decode, "quack", 1.0, run="b"),
        ]
        _, slower = verdicts(once + again)
        self.assertEqual(slower[0]["status"], "confirmed")
        refuted = [
            entry(self.decode, "rmsjit", 1.0, run="b"),
            entry(self.decode, "quack", 1.0, run="b"),
        ]
        self.assertEqual(verdicts(once + refuted)[1], [])

    def test_a_cell_of_two_runs_weighs_as_much_as_one_of_one(self):
        other = grid.Cell("rmsnorm", "bf16", 4096, 64)
        entries = [entry(other, "rmsjit", 1.0, True), entry(other, "flashinfer_cuda", 2.0, True)]
        for run, theirs in (("a", 0.8), ("b", 1.25)):
            entries.append(entry(self.decode, "rmsjit", 1.0, True, run=run))
            entries.append(entry(self.decode, "flashinfer_cuda", theirs, True, run=run))
        found, _ = verdicts(entries)
        target = found["rmsnorm, warm, rows <= 128, PDL: FlashInfer's CUDA kernels"]
        self.assertRegex(target.measured, r"1\.41.x over 2$")  # geometric mean of 1 and 2

    def test_best_against_best_takes_each_sides_faster_pdl(self):
        entries = [
            entry(self.decode, "rmsjit", 2.0),
            entry(self.decode, "rmsjit", 1.0, True),
            entry(self.decode, "flashinfer", 2.1),
            entry(self.decode, "flashinfer", 0.9, True),
        ]
        _, slower = verdicts(entries)
        self.assertEqual([item["what"] for item in slower], ["flashinfer, best against best"])

    def test_one_slower_cell_in_a_hundred_is_allowed_if_it_is_close(self):
        def cells(worst, runs="ab", slow=(7,), hidden=4096):
            out = []
            for run in runs:
                for i in range(100):
                    cell, us = grid.Cell("rmsnorm", "bf16", hidden, i + 1), 0.9
                    out.append(entry(cell, "rmsjit", worst if i in slow else us, run=run))
                    out.append(entry(cell, "quack", 1.0, run=run))
            found = verdicts(out)[0]
            name = "never slower than a peer"
            name = "hidden 2881 and 5125: never slower" if hidden == 2881 else name
            return found[name].verdict

        self.assertEqual(cells(1.03), "pass")
        self.assertEqual(cells(1.10), "FAIL")
        self.assertEqual(cells(1.03, slow=(7, 8)), "FAIL")
        # One run alone does not call a cell slower, nor does it acquit.
        self.assertEqual(cells(1.10, "a"), "open")
        self.assertEqual(cells(1.03, "a"), "pass")
        self.assertEqual(cells(1.03, hidden=2881), "FAIL")
        self.assertEqual(cells(1.01, hidden=2881), "pass")

    def test_bandwidth_against_the_copy_at_its_own_bytes(self):
        good = [entry(self.large, "rmsjit", 180.0), entry(self.large, "copy", 181.0)]
        bad = [entry(self.large, "rmsjit", 190.0), entry(self.large, "copy", 181.0)]
        name = ">= 128 MB, plain, of copy (each cell)"
        self.assertEqual(verdicts(good)[0][name].verdict, "pass")
        self.assertEqual(verdicts(bad)[0][name].verdict, "FAIL")

    def test_heads_are_compared_with_the_strided_copy_by_the_time_alone(self):
        cell = grid.Cell("qk", "bf16", 128, 1, 8)  # of 4352 bytes 256 are the weight's

        def verdict(us):
            found, _ = verdicts([entry(cell, "rmsjit", us), entry(cell, "copy", 1.0)])
            return found["query/key strided, of the strided copy (each cell)"].verdict

        self.assertEqual(verdict(0.99), "pass")
        self.assertEqual(verdict(1.03), "FAIL")

    def test_gap_to_the_barrier_floor(self):
        def verdict(us):
            found, _ = verdicts(
                [entry(self.decode, "rmsjit", us), entry(self.decode, "barrier_floor", 1.5)]
            )
            return found["decode to barrier_floor, PDL off"].verdict

        self.assertEqual(verdict(1.7), "pass")
        self.assertEqual(verdict(1.8), "FAIL")

    def test_nothing_measured_is_no_data(self):
        found, slower = verdicts([])
        self.assertEqual({target.verdict for target in found.values()}, {"no data"})
        self.assertEqual(slower, [])


class HostAndColdTargets(unittest.TestCase):
    @staticmethod
    def verdicts(host, cold):
        data = {**results([]), "host": host, "cold": cold}
        return {target.name: target for target in compare.report(data, False)[0]}

    def test_the_worst_spec_decides_about_a_launch(self):
        def entry_of(spec, extra):
            return {
                "what": "kernel.launch", "spec": spec, "extra_ns": extra,
                "extra_ns_lower": extra - 1, "extra_ns_upper": extra + 1,
            }

        name = "kernel.launch beside raw cuLaunchKernelEx"
        good, bad = entry_of("a", 30.0), entry_of("b", 51.0)
        self.assertEqual(self.verdicts([good], [])[name].verdict, "pass")
        self.assertEqual(self.verdicts([good, bad], [])[name].verdict, "FAIL")
        self.assertEqual(self.verdicts([], [])[name].verdict, "no data")

    def test_a_peers_disk_is_not_ours(self):
        ours = {"impl": "rmsjit", "route": "disk", "spec": "s", "ms": 0.5}
        theirs = {"impl": "quack", "route": "disk", "hidden": 4096, "ms": 900.0, "import_ms": 4}
        broken = {"impl": "liger", "route": "cold", "error": "no triton"}
        raw = {"impl": "rmsjit", "route": "worker", "spec": "s", "ms": 200.0, "of_raw": 1.3}
        found = self.verdicts([], [ours, theirs, broken, raw])
        self.assertEqual(found["first launch, disk and bundle"].verdict, "pass")
        self.assertEqual(found["first launch, compiled: of raw NVRTC"].verdict, "FAIL")


if __name__ == "__main__":
    unittest.main()
