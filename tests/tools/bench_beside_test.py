# SPDX-License-Identifier: Apache-2.0
"""tools/bench/compare.py --misses --profile: the figures of profiles beside the misses."""

import contextlib
import io
import json
import os
import tempfile
import unittest

from bench_results import entry, results
from bench_unexplained_test import ADD, LAST, NEXT, PROVED, WORST, entries
import compare
from benchlib import misses, profile_file


class Beside(unittest.TestCase):
    def kernel(self, cell, impl="rmsjit", pdl=False, rounding="once", in_place=False, **more):
        return {
            "cell": cell.id, "impl": impl, "pdl": pdl, "rounding": rounding, "in_place": in_place,
            "recorded_us": 0.0, "us": 12.3, "dram_pct": 41.9, "l2_hit_pct": None,
            "waves": 1.29, "occupancy_pct": 22.4, "registers": 118.0,
            "stalls_pct": {"long_scoreboard": 54, "barrier": 9}, **more,
        }  # fmt: skip

    def compare(self, *kernels, found=None, commit="c", failures=(), commits="c"):
        """The lines of compare.py, with a profile of these kernels."""
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            paths = [os.path.join(folder, name) for name in ("results.json", "profile.json")]
            with open(paths[0], "w", encoding="utf-8") as file:
                json.dump({**results(found or entries()), "commit": commits}, file)
            profile_file.write(paths[1], {"commit": commit}, kernels, failures)
            out = io.StringIO()
            stack.enter_context(contextlib.redirect_stdout(out))
            compare.main([paths[0], "--misses", "--profile", paths[1]])
        return out.getvalue().splitlines()

    def line(self, lines, cell):
        return next(line for line in lines if line.startswith(f"  {cell.id} "))

    def test_a_miss_without_a_reason_has_its_profiles_figures_and_the_fastest_peers_time(self):
        peers = [self.kernel(WORST, "quack", us=9.0), self.kernel(WORST, "torch", us=5.0)]
        peers.append(self.kernel(WORST, "torch", us=6.0))  # one launch of two kernels: 11
        floor = self.kernel(WORST, "floor", rounding="", us=1.0)
        lines = self.compare(self.kernel(WORST), *peers, floor)
        wanted = ("ncu 12.3 us (quack 9), DRAM 42 %, 1.29 waves, occupancy 22 %, 118 registers; "
                  "stalls long_scoreboard 54 %, barrier 9 %")  # fmt: skip
        self.assertTrue(self.line(lines, WORST).endswith(" " + wanted), self.line(lines, WORST))
        self.assertTrue(self.line(lines, LAST).endswith(" " + misses.UNKNOWN))

    def test_the_head_counts_misses_by_kind(self):
        before = self.compare()
        head = "3 cells miss a target; for 3 the record has no reason of at least one miss, and "
        self.assertEqual(before[0], head + "for 3 that has no profile either.")
        self.assertIn(" 0 profiled, 4 unknown; 4 in all", before[1])
        after = self.compare(self.kernel(WORST))
        # Figures are no proof.
        self.assertEqual(after[0], head + "for 2 that has no profile either.")
        self.assertIn(" 2 profiled, 2 unknown; 4 in all", after[1])
        self.assertIn(f"     2  {misses.PROFILED}", after)

    def test_a_reason_from_the_record_stays_the_reason_with_the_figures_behind_it(self):
        found = [entry(PROVED, "rmsjit", 1.1), entry(PROVED, "quack", 1.2)]
        found.append(entry(PROVED, "barrier_floor", 1.05))
        lines = self.compare(self.kernel(PROVED), found=found)
        line = next(line for line in lines if misses.BELOW_FLOOR + "; ncu 12.3 us" in line)
        self.assertIn(PROVED.id, line)
        self.assertIn("1 proved, 0 observed, ", lines[1])
        self.assertIn(" 0 profiled, 0 unknown; 1 in all", lines[1])

    def test_another_maths_of_the_same_launch_is_said_and_another_pdl_is_no_profile(self):
        lines = self.compare(self.kernel(NEXT, rounding=ADD))
        self.assertIn(" ncu as unrounded,once 12.3 us", self.line(lines, NEXT))
        both = self.kernel(NEXT, rounding=ADD), self.kernel(NEXT, rounding=ADD, in_place=True)
        self.assertIn(" ncu 12.3 us", self.line(self.compare(*both), NEXT))
        lines = self.compare(self.kernel(NEXT, pdl=True, rounding=ADD, in_place=True))
        self.assertTrue(self.line(lines, NEXT).endswith(misses.UNKNOWN))

    def test_the_head_says_how_many_launches_of_a_profile_failed(self):
        lines = self.compare(self.kernel(WORST), failures=[{**self.kernel(LAST), "error": "no"}])
        self.assertEqual(lines[2], "profile.json: 1 launches, 1 failed")

    def test_an_unknown_commit_is_no_commit_in_common(self):
        for nothing in ("", "unknown"):
            lines = self.compare(self.kernel(WORST), commit=nothing, commits=nothing)
            self.assertTrue(self.line(lines, WORST).endswith(misses.UNKNOWN), nothing)

    def test_a_profile_of_other_results_is_not_used_and_the_head_says_so(self):
        lines = self.compare(self.kernel(WORST), commit="d")
        self.assertTrue(self.line(lines, WORST).endswith(misses.UNKNOWN))
        self.assertIn("profile.json: 0 launches; 1 kernels are of other results", lines[2])
        found = entries()
        kernel = self.kernel(WORST, recorded_us=found[0]["us"])  # of the same timing: the same code
        lines = self.compare(kernel, found=found, commit="d")
        self.assertIn("ncu 12.3 us", self.line(lines, WORST))

    def test_an_older_record_goes_with_misses_and_is_of_the_same_gpu(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("new.json", "old.json")]
            for path, gpu in zip(paths, ("H100", "A100")):
                with open(path, "w", encoding="utf-8") as file:
                    json.dump({**results([]), "gpu": gpu}, file)
            with contextlib.redirect_stderr(io.StringIO()) as error:
                with self.assertRaises(SystemExit):
                    compare.main([paths[0], "--before", paths[1]])
                status = compare.main([paths[0], "--misses", "--before", paths[1]])
        self.assertEqual(status, 2)
        self.assertIn("--before goes with --misses", error.getvalue())
        self.assertIn(f"--before is of A100, {paths[0]} of H100", error.getvalue())

    def test_a_file_that_is_no_profile_and_a_profile_without_misses_are_bad_usage(self):
        with contextlib.redirect_stderr(io.StringIO()) as error:
            results_file = os.path.join(os.path.dirname(__file__), "model_keys_golden.json")
            with self.assertRaises(SystemExit) as raised:
                compare.main(["results.json", "--profile", results_file])
            with self.assertRaisesRegex(ValueError, "is no file of profile_cells.py"):
                profile_file.load(results_file)
            with tempfile.NamedTemporaryFile("w", suffix=".json") as newer:
                json.dump({"schema_version": 2, "kernels": []}, newer)
                newer.flush()
                with self.assertRaisesRegex(ValueError, "schema_version is 2, this tool reads 1"):
                    profile_file.load(newer.name)
        self.assertEqual(raised.exception.code, 2)
        self.assertIn("--profile goes with --misses", error.getvalue())


if __name__ == "__main__":
    unittest.main()
