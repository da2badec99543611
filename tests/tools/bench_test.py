# SPDX-License-Identifier: Apache-2.0
"""tools/bench without a GPU: the grid, statistics, the comparison with the targets and the command
line, on made-up results. bench_measure_test.py has what needs torch."""

import contextlib
import importlib.util
import io
import json
import os
import tempfile
import unittest

from bench_results import entry, results
import bench
import compare
import plot
from benchlib import grid, grid_picture, ours, record, stats
from benchlib.variants import Variant


class Grid(unittest.TestCase):
    def test_every_cell_of_the_issue_is_there_once(self):
        cells = grid.full_grid()
        self.assertEqual(len(cells), len(set(cells)))
        shapes = {(c.op, c.hidden, c.rows) for c in cells if c.dtype == "bf16"}
        for op in ("rmsnorm", "fused_add"):
            for hidden in grid.HIDDEN:
                for rows in grid.ROWS:
                    self.assertIn((op, hidden, rows), shapes)
        self.assertEqual({c.heads for c in cells if c.op == "qk"}, {8, 32, 64, 128})
        self.assertEqual({c.dtype for c in cells}, {"bf16", "f16", "f32"})

    def test_decode_comes_first_then_large(self):
        tiers = [grid.tier(c) for c in grid.ordered(grid.full_grid())]
        self.assertEqual(tiers, sorted(tiers))
        first = grid.ordered(grid.full_grid())[0]
        self.assertEqual((first.hidden, first.l2, first.dtype), (4096, "warm", "bf16"))

    def test_shards_are_a_partition(self):
        cells = grid.full_grid()
        parts = [grid.shard(cells, i, 4) for i in range(4)]
        self.assertEqual(sorted(sum(parts, [])), sorted(cells))
        self.assertTrue(all(parts))

    def test_bytes(self):
        self.assertEqual(grid.Cell("rmsnorm", "bf16", 4096, 2).bytes, (2 * 2 * 4096 + 4096) * 2)
        self.assertEqual(grid.Cell("fused_add", "f32", 64, 3).bytes, (4 * 3 * 64 + 64) * 4)
        qk = grid.Cell("qk", "bf16", 128, 5, 32)
        self.assertEqual(qk.bytes, (2 * 5 * 32 * 128 + 128) * 2)
        self.assertEqual(qk.token_stride, (32 + 8) * 128)

    def test_warm_cells_fit_the_l2_and_rotate_over_whole_sets(self):
        for cell in grid.full_grid():
            if cell.l2 == "warm":
                self.assertLessEqual(4 * cell.set_bytes, grid.WARM_LIMIT_BYTES)
                self.assertEqual(grid.launches(cell) % grid.WARM_SETS, 0)
            self.assertTrue(2 <= grid.launches(cell) <= 512, cell)


class Stats(unittest.TestCase):
    def test_interval_contains_the_ratio_and_knows_noise(self):
        ours, theirs = [2.0, 2.02, 1.98] * 5, [4.0, 4.1, 3.9] * 5
        ratio, lower, upper = stats.ratio_interval(ours, theirs)
        self.assertAlmostEqual(ratio, 0.5)
        self.assertTrue(lower <= ratio <= upper and upper - lower < 0.05)

    def test_median_and_geomean(self):
        self.assertEqual(stats.median([3, 1, 2]), 2)
        self.assertEqual(stats.median([4, 1, 2, 3]), 2.5)
        self.assertAlmostEqual(stats.geomean([1, 4]), 2)


class CommandLine(unittest.TestCase):
    def run_main(self, main, *argv):
        out, error = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            try:
                status = main(list(argv))
            except SystemExit as end:
                status = end.code
        return status, out.getvalue(), error.getvalue()

    def test_list_prints_the_chosen_cells_and_needs_no_gpu(self):
        status, out, error = self.run_main(bench.main, "list", "--quick", "--op", "qk")
        self.assertEqual(status, 0)
        self.assertEqual(len(out.splitlines()), 2)
        self.assertIn("2 cells", error)

    def test_bad_shard_and_too_few_rounds_are_usage_errors(self):
        status, _, error = self.run_main(bench.main, "list", "--shard", "4/4")
        self.assertEqual(status, 2)
        self.assertIn("4/4", error)
        status, _, error = self.run_main(bench.main, "run", "--out", "x", "--rounds", "3")
        self.assertEqual(status, 2)
        self.assertIn("given 3", error)

    def test_merge_then_compare(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, f"{i}.json") for i in range(2)]
            for index, path in enumerate(paths):
                cell = grid.Cell("rmsnorm", "bf16", 4096, 1 + index)
                record.Record(
                    path, results([entry(cell, "rmsjit", 2.0), entry(cell, "quack", 1.0)])
                ).flush()
            merged = os.path.join(folder, "merged.json")
            self.assertEqual(self.run_main(bench.main, "merge", merged, *paths)[0], 0)
            status, out, _ = self.run_main(compare.main, merged)
            self.assertEqual(status, 1)
            self.assertIn("0 of 2, 2 to confirm", out)
            status, out, _ = self.run_main(compare.main, merged, "--json")
            self.assertEqual(len(json.loads(out)["slower"]), 2)
        self.assertEqual(self.run_main(compare.main, "/nonexistent.json")[0], 2)

    def test_plot_draws_or_says_why_not(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a.json")
            cells = [
                grid.Cell("rmsnorm", "bf16", h, r, 1, "cold")
                for h in (1024, 4096)
                for r in (1, 128, 32768)
            ]
            record.Record(
                path,
                results(
                    [
                        entry(c, impl, 2.0 + c.bytes / 3e6)
                        for c in cells
                        for impl in ("rmsjit", "copy", "quack")
                    ]
                ),
            ).flush()
            status, out, error = self.run_main(plot.main, path, folder, "--hidden", "1024,4096", "--name", "gpu")
            if importlib.util.find_spec("matplotlib"):
                self.assertEqual(status, 0)
                self.assertTrue(
                    {f"gpu-{n}.{k}" for n in ("time", "copy", "grid") for k in ("png", "svg")}
                    <= set(os.listdir(folder))
                )
            else:
                self.assertEqual(status, 3)
                self.assertIn("matplotlib is not installed", error)

    def test_copy_series_is_a_percentage_of_the_copys_bandwidth(self):
        cell = grid.Cell("rmsnorm", "bf16", 4096, 16384, 1, "cold")
        series = plot.copy_series(
            plot.times([entry(cell, "copy", 100.0), entry(cell, "quack", 200.0)]), "rmsnorm"
        )
        self.assertAlmostEqual(series["copy"][0][1], 100.0)
        self.assertAlmostEqual(series["quack"][0][1], 50.0, delta=0.5)

    def test_the_picture_of_the_grid_has_the_closest_peer_best_against_best(self):
        warm, cold = (grid.Cell("rmsnorm", "bf16", 4096, 16, 1, l2) for l2 in ("warm", "cold"))
        far = grid.Cell("rmsnorm", "bf16", 4096, 32768, 1, "cold")
        entries = [entry(warm, "rmsjit", 1.5), entry(warm, "rmsjit", 1.0, True)]
        entries += [entry(warm, "flashinfer", 1.1), entry(warm, "flashinfer", 1.3, True)]
        entries += [entry(warm, "quack", 1.4), entry(warm, "floor", 0.5)]
        entries += [entry(cold, "rmsjit", 9.0), entry(cold, "quack", 1.0)]
        entries += [entry(far, "rmsjit", 2.0), entry(far, "quack", 1.0)]
        found = grid_picture.figures(results(entries), "rmsnorm")
        self.assertEqual({s: (round(f, 1), l2) for s, (f, l2) in found.items()},
                         {(4096, 16): (1.1, "warm"), (4096, 32768): (0.5, "cold")})

    def test_a_picture_takes_our_slowest_rounding_at_our_better_pdl(self):
        cell = grid.Cell("rmsnorm", "bf16", 4096, 16)
        cells = plot.times(
            [
                entry(cell, "rmsjit", 1.5, rounding="once"),
                entry(cell, "rmsjit", 1.6, rounding="twice"),
                entry(cell, "rmsjit", 1.1, True, rounding="once"),
                entry(cell, "rmsjit", 1.2, True, rounding="twice"),
            ]
        )
        ((rows, us),) = plot.time_series(cells, 4096, 128)["rmsjit"]
        self.assertEqual((rows, round(us, 2)), (16, 1.2))
        self.assertEqual(plot.time_series(cells, 4096, 8), {})


class OurSpecs(unittest.TestCase):
    def test_spec_texts_name_rounding_placement_and_layout(self):
        spec_text = ours.spec_text
        add = grid.Cell("fused_add", "bf16", 4096, 1)
        self.assertEqual(
            spec_text(add, Variant(True, "unrounded,once", True)),
            "hidden=4096,x=bf16,residual=add,add_round=unrounded,y_placement=in_place,"
            "residual_placement=in_place,mul_round=once,pdl=on",
        )
        self.assertIn("layout=heads", spec_text(grid.Cell("qk", "bf16", 128, 1, 8), Variant()))
        self.assertIn(
            "weight_form=one_plus", spec_text(grid.Cell("gemma", "f16", 64, 1), Variant())
        )
        self.assertEqual(set(ours.ROUNDINGS), {"rmsnorm", "fused_add", "qk", "gemma"})


if __name__ == "__main__":
    unittest.main()
