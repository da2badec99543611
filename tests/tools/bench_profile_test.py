# SPDX-License-Identifier: Apache-2.0
"""tools/bench/profile_cells.py with a program of a few lines in the place of Nsight Compute and of
the process that it watches; and the lines that ncu writes."""

import inspect
import os
import re
import unittest
from unittest import mock

from bench_fake_ncu import ProfileCase, page
from bench_results import entry, results
import profile_cells
from benchlib import grid, ncu, profile_jobs


class Ncu(unittest.TestCase):
    def test_figures_have_the_units_of_their_names_and_what_is_unknown_is_none(self):
        (row,) = ncu.rows(page(("k", 1280)))
        self.assertEqual((row["kernel"], row["us"], row["dram_read_mb"]), ("k", 1.28, 16.777))
        self.assertEqual((row["cluster"], row["l2_hit_pct"], row["waves"]), (8, None, None))

    def test_stalls_are_shares_of_all_without_those_of_warps_that_did_not_issue(self):
        (row,) = ncu.rows(page(("k", 1)))
        self.assertEqual(row["stalls_pct"], {"long_scoreboard": 75, "barrier": 25})

    def test_output_without_a_table_is_an_error_that_shows_it(self):
        with self.assertRaisesRegex(ValueError, "ERR_NVGPUCTRPERM"):
            ncu.rows("==ERROR== ERR_NVGPUCTRPERM\n")

    def test_kernels_that_do_not_add_up_are_never_given_to_a_job(self):
        with self.assertRaisesRegex(ValueError, "2 kernels were launched and ncu has 1"):
            ncu.joined([{"kernels": 2}], ncu.rows(page(("k", 1))))
        two = ncu.rows(page(("k", 1), ("cut", 1)))
        with self.assertRaisesRegex(ValueError, "1 kernels were launched and ncu has 2"):
            ncu.joined([{"kernels": 1}], two)
        self.assertEqual([k["kernel"] for k in ncu.joined([{"kernels": 1}], two, True)], ["k"])


class Child(unittest.TestCase):
    def test_a_process_that_ncu_watches_has_all_that_a_session_reads(self):
        # As text: a session imports torch.
        session = os.path.join(os.path.dirname(profile_cells.__file__), "benchlib", "session.py")
        with open(session, encoding="utf-8") as file:
            source = file.read() + inspect.getsource(profile_cells.run_child)
        read = set(re.findall(r"\bargs\.(\w+)", source))
        self.assertIn("require", read)
        with mock.patch.object(profile_cells, "run_child", lambda args: args):
            command = ["h.json", "--cells", "c", "--out", "o", "--child", "jobs"]
            args = vars(profile_cells.main(command))
        self.assertEqual(read - set(args), set())


class Profile(ProfileCase):
    warm = grid.Cell("fused_add", "bf16", 4096, 16)
    cold = grid.Cell("rmsnorm", "bf16", 4096, 512, 1, "cold")

    def entries(self, cell, peer="quack", **maths):
        ours = [entry(cell, "rmsjit", 1.0 + pdl, bool(pdl), **maths) for pdl in (0, 1)]
        floor = entry(cell, "floor", 0.5, kernel={"threads": 128})
        return ours + [entry(cell, peer, 1.5, **maths), entry(cell, "torch", 9.0), floor]

    def jobs(self, entries):
        jobs = profile_jobs.of_cells(results(entries), [self.warm.id])
        return [(job["impl"], job["pdl"], job["in_place"], job["threads"]) for job in jobs]

    def test_a_cell_is_ours_in_the_fastest_peers_maths_that_peer_and_the_references(self):
        entries = self.entries(self.warm, in_place=True, rounding="unrounded,once")
        entries.append(entry(self.warm, "rmsjit", 3.0))
        ours = [("rmsjit", False, True, 0), ("rmsjit", True, True, 0)]
        rest = [("quack", False, True, 0), ("floor", False, False, 128)]
        self.assertEqual(self.jobs(entries), ours + rest)
        # The same peer with PDL is the same kernel; another that is faster so is one more.
        maths = {"in_place": True, "rounding": "unrounded,once"}
        with_pdl = entry(self.warm, "quack", 1.2, True, **maths)
        self.assertEqual(len(self.jobs([*entries, with_pdl])), 4)
        entries.append(entry(self.warm, "flashinfer", 1.2, True, **maths))
        rest.insert(1, ("flashinfer", True, True, 0))
        self.assertEqual(self.jobs(entries), ours + rest)
        with self.assertRaisesRegex(ValueError, "is not in the results"):
            profile_jobs.of_cells(results(entries), [self.cold.id])

    def test_every_kernel_stands_under_its_cell_with_the_recorded_time(self):
        entries = self.entries(self.warm) + self.entries(self.cold, "inductor")
        status, data, text = self.profile(entries, [self.warm.id, self.cold.id])
        found = [(k["cell"], k["impl"], k["pdl"], k["us"]) for k in data["kernels"]]
        wanted = [("rmsjit", False), ("rmsjit", True), ("inductor", False), ("inductor", False)]
        wanted = [(self.cold.id, *job, 2.0) for job in [*wanted, ("floor", False)]]
        self.assertEqual((status, found[:5], len(found)), (0, wanted, 9), text)
        self.assertAlmostEqual(data["kernels"][0]["recorded_us"], 1.0, delta=0.01)
        self.assertEqual((data["gpu"], data["results"]), ("H", "results.json"))
        self.assertRegex(text, r"rmsjit\+pdl +2 +16.777 .* long_scoreboard 75 %")

    def test_a_job_that_fails_is_named_and_the_rest_is_kept(self):
        entries = [entry(self.warm, "torch", 0.5), *self.entries(self.warm)]
        status, data, text = self.profile(entries, [self.warm.id])
        self.assertEqual((status, len(data["kernels"]), len(data["failures"])), (1, 3, 1))
        self.assertIn(f"failed: {self.warm.id} torch RuntimeError: no", text)

    def test_kernels_of_one_temperature_that_do_not_add_up_lose_only_those(self):
        entries = self.entries(self.warm) + self.entries(self.cold)
        change, kept = "if cold: kernels.pop()", os.path.join(self.folder, "kept")
        cells, keep = [self.warm.id, self.cold.id], ("--keep", kept)
        status, data, _ = self.profile(entries, cells, *keep, change=change)
        self.assertTrue(os.path.exists(kept + ".cold.csv") and os.path.exists(kept + ".cold.jobs"))
        self.assertEqual((status, {k["cell"] for k in data["kernels"]}), (1, {self.warm.id}))
        self.assertIn("4 kernels were launched and ncu has 3", data["failures"][0]["error"])

    def test_an_ncu_that_dies_or_is_not_there_is_a_failure_in_the_file(self):
        entries = self.entries(self.warm)
        status, data, _ = self.profile(entries, [self.warm.id], change="os._exit(9)")
        self.assertEqual((status, data["kernels"]), (1, []))
        self.assertEqual([job["impl"] for job in data["failures"]][-2:], ["quack", "floor"])
        self.assertIn("left no ncu.csv", data["failures"][0]["error"])
        more = ("--ncu", os.path.join(self.folder, "absent"))
        status, data, _ = self.profile(entries, [self.warm.id], *more)
        self.assertIn("absent", data["failures"][0]["error"])


if __name__ == "__main__":
    unittest.main()
