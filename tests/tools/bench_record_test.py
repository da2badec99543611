# SPDX-License-Identifier: Apache-2.0
"""The results file of tools/bench: what is kept when runs are joined, and what is refused."""

import json
import os
import tempfile
import unittest

from bench_results import entry, results
from benchlib import grid, record


class Merge(unittest.TestCase):
    def part(self, cell, impl, missing=(), not_run=(), gpu="H"):
        data = results([entry(cell, impl, 2.0)])
        data.update(gpu=gpu, missing=dict.fromkeys(missing, "why"), not_run=list(not_run))
        return data

    def test_entries_add_up_and_a_cell_that_another_measured_is_not_left(self):
        a, b = grid.Cell("rmsnorm", "bf16", 64, 1), grid.Cell("rmsnorm", "bf16", 128, 1)
        merged = record.merge(
            [self.part(a, "quack", ["te"], [b.id, "x"]), self.part(b, "rmsjit", ["quack"])]
        )
        self.assertEqual(len(merged["cells"]), 2)
        self.assertEqual(merged["not_run"], ["x"])

    def test_a_peer_that_one_run_lacked_stays_missing_and_the_run_is_named(self):
        a, b = grid.Cell("rmsnorm", "bf16", 64, 1), grid.Cell("rmsnorm", "bf16", 128, 1)
        first, second = self.part(a, "quack", ["te"]), self.part(b, "rmsjit", ["quack", "te"])
        second["cells"][0]["run"] = "b"
        merged = record.merge([first, second])
        self.assertEqual(merged["missing"], {"te": "why", "quack": "missing in run b: why"})
        again = record.merge([merged, second])["missing"]
        self.assertEqual(again["quack"], "missing in run b: why")
        third = self.part(a, "te", ["quack"])
        third["cells"][0]["run"], third["missing"]["quack"] = "c", "no"
        missing = record.merge([merged, third])["missing"]
        self.assertEqual(missing["quack"], "missing in run b: why; missing in run c: no")
        self.assertEqual(missing["te"], "missing in run a, b: why")

    def test_a_later_file_replaces_the_cells_that_it_measured(self):
        a, b = grid.Cell("rmsnorm", "bf16", 64, 1), grid.Cell("rmsnorm", "bf16", 128, 1)
        first = results([entry(a, "rmsjit", 2.0), entry(a, "quack", 2.0), entry(b, "rmsjit", 2.0)])
        later = results([entry(a, "rmsjit", 1.0)])
        merged = record.merge(record.replaced([first, later]))
        times = [(record.cell_id(e), e["impl"], round(e["us"])) for e in merged["cells"]]
        self.assertEqual(times, [(b.id, "rmsjit", 2), (a.id, "rmsjit", 1)])

    def test_a_cell_that_was_left_out_and_measured_elsewhere_is_not_left_out(self):
        a, b = grid.Cell("rmsnorm", "bf16", 64, 1), grid.Cell("rmsnorm", "bf16", 128, 1)
        parts = [results([]), results([]), results([entry(b, "rmsjit", 1.0)])]
        for part, cell in zip(parts, (a, b, a)):
            part["left_out"] = [{"cell": cell.id, "reason": "too large"}]
        self.assertEqual(record.merge(parts)["left_out"], parts[0]["left_out"])

    def test_a_reason_of_what_is_unsupported_is_there_once(self):
        parts = [results([]), results([])]
        for part in parts:
            for what in ("no f32", "no heads"):
                record.Record("", part).add_unsupported("liger", what)
                record.Record("", part).add_unsupported("liger", what)
        reasons = [{"impl": "liger", "what": what} for what in ("no f32", "no heads")]
        self.assertEqual(parts[0]["unsupported"], reasons)
        self.assertEqual(record.merge(parts)["unsupported"], reasons)

    def test_failures_of_a_replaced_cell_go_with_it(self):
        a, b = grid.Cell("rmsnorm", "bf16", 64, 1), grid.Cell("rmsnorm", "bf16", 128, 1)
        parts = []
        for cells in ((a, b), (a,)):
            parts.append(results([entry(cell, "rmsjit", 2.0) for cell in cells]))
            for cell in cells:
                record.Record("", parts[-1]).add_failure(cell.id, "quack", "no")
        record.Record("", parts[0]).add_failure("prepare", "rmsjit", "no")
        merged = record.merge(record.replaced(parts))
        self.assertEqual([f["cell"] for f in merged["failures"]], [b.id, "prepare", a.id])

    def test_different_gpus_are_refused(self):
        cell = grid.Cell("rmsnorm", "bf16", 64, 1)
        with self.assertRaisesRegex(ValueError, "different GPUs"):
            record.merge([self.part(cell, "torch"), self.part(cell, "torch", gpu="other")])

    def test_another_schema_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump({"schema_version": 2}, file)
            with self.assertRaisesRegex(ValueError, "schema_version is 2"):
                record.load(path)

    def test_a_flushed_record_loads_again(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a.json")
            cell = grid.Cell("rmsnorm", "bf16", 64, 1)
            one = record.Record(path)
            one.add_entries([entry(cell, "torch", 1.0)])
            one.add_failure(cell.id, "te", "x" * 5000)
            one.flush()
            data = record.load(path)
            self.assertEqual(record.Record(path, data).done(), {cell.id})
            self.assertLess(len(data["failures"][0]["error"]), 700)
            self.assertEqual(os.listdir(folder), ["a.json"])


if __name__ == "__main__":
    unittest.main()
