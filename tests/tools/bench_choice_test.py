# SPDX-License-Identifier: Apache-2.0
"""What tools/bench's command lines choose, leave out and refuse."""

import contextlib
import io
import os
import tempfile
import types
import unittest

from bench_fake_ncu import ProfileCase
from bench_results import entry, results
import bench
import compare
from benchlib import choice, grid, record


class Choice(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "a.json")

    def run_main(self, main, *argv):
        out, error = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            status = main(list(argv))
        return status, out.getvalue(), error.getvalue()

    def test_a_value_that_is_in_no_cell_is_refused_with_those_that_are(self):
        for option, value, allowed in (
            ("--hidden", "abc", "64, 128, 256"),
            ("--rows", "3", "1, 4, 16"),
            ("--op", "rmsnorm,rmsnrom", "fused_add, gemma, qk, rmsnorm"),
            ("--dtype", "bf8", "bf16, f16, f32"),
            ("--l2", "hot", "cold, warm"),
        ):
            status, out, error = self.run_main(bench.main, "list", option, value)
            self.assertEqual((status, out), (2, ""))
            wrong = value.split(",")[-1]
            self.assertIn(f"bench: {option} {wrong!r} is not one of {allowed}", error)

    def test_an_implementation_that_there_is_not_is_refused_before_anything_runs(self):
        status, _, error = self.run_main(bench.main, "run", "--out", self.path, "--impl", "rmsjt")
        self.assertEqual(status, 2)
        self.assertIn("--impl 'rmsjt' is not one of rmsjit, copy, ", error)
        self.assertFalse(os.path.exists(self.path))

    def test_what_is_required_is_one_of_those_that_run(self):
        for options in (["--require", "quak"], ["--impl", "copy,floor", "--require", "quack"]):
            status, _, error = self.run_main(bench.main, "run", "--out", self.path, *options)
            self.assertEqual(status, 2)
            self.assertIn(f"--require '{options[-1]}' is not one of ", error)

    def test_a_file_is_not_confirmed_into_itself(self):
        cell = grid.Cell("rmsnorm", "bf16", 4096, 16)
        slow = [entry(cell, "rmsjit", 1.1), entry(cell, "quack", 1.0)]
        record.Record(self.path, results(slow)).flush()
        same = os.path.join(os.path.dirname(self.path), ".", "a.json")
        status, _, error = self.run_main(bench.main, "run", "--confirm", self.path, "--out", same)
        self.assertEqual(status, 2)
        self.assertIn("nothing would be measured; name another file with --out", error)

    def test_what_is_no_results_file_is_named(self):
        for text, why in (
            ("[]", "it holds a list, not an object"),
            ("{", "Expecting property"),
            ('{"schema_version": 1, "cells": [{"spec": "hidden=64"}]}', "its cells name no op"),
        ):
            with open(self.path, "w", encoding="utf-8") as file:
                file.write(text)
            for main, argv in (
                (bench.main, ["merge", self.path + ".out", self.path]),
                (bench.main, ["run", "--out", self.path]),
                (bench.main, ["list", "--confirm", self.path]),
                (compare.main, [self.path]),
            ):
                status, _, error = self.run_main(main, *argv)
                self.assertEqual(status, 2, argv)
                self.assertIn(f"{self.path} is no results file: {why}", error)

    def test_cells_beyond_the_memory_are_left_out_each_with_its_reason(self):
        status, out, error = self.run_main(bench.main, "list", "--max-gib", "6")
        shown = {line.split()[1] for line in out.splitlines()}
        options = dict.fromkeys(("confirm", "cells", "shard", *choice.FIELDS))
        _, left_out = choice.cells(types.SimpleNamespace(quick=False, max_gib=6.0, **options))
        reasons = {item["cell"]: item["reason"] for item in left_out}
        self.assertEqual((status, shown & set(reasons)), (0, set()))
        self.assertEqual(shown | set(reasons), {cell.id for cell in grid.full_grid()})
        self.assertIn(f"and {len(left_out)} left out", error)
        given = "one set takes 8.0 GiB, --max-gib 6 was given"
        self.assertEqual(reasons["rmsnorm/bf16/h65536/r32768/n1/cold"], given)

    def test_a_limit_to_the_memory_is_more_than_nothing(self):
        for given in ("0", "-1", "six"):
            with self.assertRaises(SystemExit) as ended:
                self.run_main(bench.main, "list", "--max-gib", given)
            self.assertEqual(ended.exception.code, 2)

    def test_options_that_no_cell_meets_together_are_refused(self):
        argv = ("--out", self.path, "--op", "qk", "--dtype", "f32")
        status, _, error = self.run_main(bench.main, "run", *argv)
        self.assertEqual(status, 2)
        self.assertIn("no cell of the grid is all that the options ask for", error)
        self.assertFalse(os.path.exists(self.path))

    def test_the_reason_of_the_memory_limit_shows_the_factor(self):
        cell = grid.Cell("fused_add", "bf16", 65536, 32768, 1, "cold")
        self.assertEqual(
            grid.too_large(cell),
            "one set takes 16.0 GiB x 1.6 (in place as well), 24 GiB are allowed",
        )
        plain = grid.Cell("rmsnorm", "bf16", 262144, 32768, 1, "cold")
        self.assertEqual(grid.too_large(plain), "one set takes 32.0 GiB, 24 GiB are allowed")
        self.assertEqual(grid.too_large(grid.Cell("fused_add", "bf16", 65536, 16384)), "")


class ProfiledImplementations(ProfileCase):
    def test_one_that_there_is_not_is_refused(self):
        cell = grid.Cell("rmsnorm", "bf16", 4096, 16)
        self.path("out.json", "null")
        found = [entry(cell, "rmsjit", 1.0)]
        status, data, text = self.profile(found, [cell.id], "--impl", "rmsjt")
        self.assertEqual((status, data), (2, None))
        self.assertIn("--impl 'rmsjt' is not one of rmsjit, copy, ", text)


if __name__ == "__main__":
    unittest.main()
