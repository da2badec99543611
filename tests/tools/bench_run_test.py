# SPDX-License-Identifier: Apache-2.0
"""The parent of `bench.py run`, with a program of a few lines in the place of its measuring
processes: turns, crashes, time limits, and the one results file that it makes of theirs."""

import contextlib
import io
import os
import tempfile
import textwrap
import unittest
from unittest import mock

from bench_results import entry, results
import bench
from benchlib import cell_group, grid, phases, record, supervisor

# Speaks like `bench.py run --child`: measures nothing, crashes or hangs once at hidden 128, rows 4.
CHILD = """
    import json, os, sys, time
    sys.path[:0] = [{tests!r}]
    from bench_results import entry
    from benchlib import grid, record
    folder = next(word[8:] for word in sys.argv if word.startswith("--child="))
    wanted = json.load(open(os.path.join(folder, "cells.json")))
    cells = [cell for cell in grid.full_grid() if cell.id in wanted]
    part = record.Record(os.path.join(folder, "part.json"))
    part.data["gpu"] = "H"
    with open({log!r}, "a") as log:
        log.write("start\\n")
    print("done", flush=True)
    for line in sys.stdin:
        for cell in [c for c in cells if grid.tier(c) == int(line)]:
            with open(part.path + ".now", "w") as now:
                now.write(cell.id + "\\nquack")
            excluded = f"--exclude={{cell.id}}::quack" in sys.argv
            if (cell.hidden, cell.rows, cell.l2) == (128, 4, "warm") and not excluded:
                {crash}
            time.sleep({seconds})
            part.add_entries([entry(cell, "rmsjit", 1.0, run="r")])
            part.flush()
        print("done", flush=True)
    part.data["runs"] = [{{"phases": {{"import": 2.0, "measure": 1.0}}, "clocks_after": {{}}}}]
    part.flush()
"""
CELLS = ("--op", "rmsnorm", "--dtype", "bf16", "--hidden", "64,128", "--rows", "1,4")


class Run(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = os.path.join(folder.name, "out.json")
        self.log = os.path.join(folder.name, "log")
        self.program = os.path.join(folder.name, "child.py")

    def run_bench(self, *more, crash="pass", seconds=0):
        tests = os.path.dirname(os.path.abspath(__file__))
        text = CHILD.format(tests=tests, log=self.log, crash=crash, seconds=seconds)
        with open(self.program, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(text))
        error, program = io.StringIO(), mock.patch.object(supervisor, "PROGRAM", self.program)
        with program, contextlib.redirect_stderr(error):
            status = bench.main(["run", "--out", self.out, "--processes", "2", *CELLS, *more])
        return status, record.load(self.out), error.getvalue()

    def starts(self):
        with open(self.log, encoding="utf-8") as file:
            return len(file.readlines())

    def test_two_processes_measure_each_cell_once_and_one_file_has_all(self):
        status, data, error = self.run_bench()
        self.assertEqual((status, data["not_run"], self.starts()), (0, [], 2))
        ids = [record.cell_id(e) for e in data["cells"]]
        self.assertEqual(len(ids), 8)
        self.assertEqual(len(set(ids)), 8)
        (run,) = data["runs"]
        self.assertEqual(run["phases"], {"import": 2.0, "measure": 2.0})
        self.assertIn("seconds by phase: import 2.0, measure 2.0", error)
        # Taken up again, there is nothing to do.
        self.assertEqual(self.run_bench()[0], 0)
        self.assertEqual(self.starts(), 2)

    def test_a_narrower_run_keeps_what_the_one_before_has_not_measured(self):
        with mock.patch.object(supervisor, "MOST_RESTARTS", -1):
            _, data, _ = self.run_bench()
        self.assertEqual(len(data["not_run"]), 8)
        status, data, error = self.run_bench("--rows", "4")
        self.assertEqual((status, len(data["cells"]), len(data["not_run"])), (0, 4, 4))
        self.assertIn("4 cells measured, 4 not run", error)
        self.assertTrue(all("/r1/" in cell for cell in data["not_run"]))
        self.assertEqual(self.run_bench()[1]["not_run"], [])

    def test_cells_that_a_limit_excludes_are_in_the_file_until_they_are_asked_for(self):
        most = ("--max-gib", str(600 / 2**30))  # 64 x 1 and no more
        _, data, error = self.run_bench(*most)
        self.assertEqual((len(data["cells"]), len(data["left_out"]), data["not_run"]), (2, 6, []))
        self.assertIn("--max-gib 5.58794e-07 was given", data["left_out"][0]["reason"])
        self.assertIn("2 cells measured, 0 not run, 6 left out, 0 failures", error)
        _, data, _ = self.run_bench("--rows", "4")
        self.assertEqual((len(data["cells"]), len(data["left_out"])), (6, 2))

    def test_a_cell_that_a_limit_excludes_is_no_longer_one_that_did_not_run(self):
        with mock.patch.object(supervisor, "MOST_RESTARTS", -1):
            _, data, _ = self.run_bench()
        self.assertEqual(len(data["not_run"]), 8)
        _, data, _ = self.run_bench("--max-gib", str(600 / 2**30))
        self.assertEqual((len(data["cells"]), len(data["left_out"]), data["not_run"]), (2, 6, []))

    def test_a_file_of_another_gpu_is_refused_before_anything_is_measured(self):
        record.Record(self.out, {**results([]), "gpu": "NVIDIA A100"}).flush()
        with mock.patch.object(supervisor.machine, "gpu_name", lambda: "NVIDIA H100"):
            status, data, error = self.run_bench()
        self.assertEqual((status, data["cells"], os.path.exists(self.log)), (2, [], False))
        wanted = f"--out {self.out} was measured on NVIDIA A100 and this GPU is NVIDIA H100"
        self.assertIn(wanted, error)

    def test_a_crash_is_charged_to_the_implementation_at_work_and_the_run_goes_on(self):
        status, data, error = self.run_bench(crash="os._exit(139)")
        self.assertEqual((status, data["not_run"], len(data["cells"])), (0, [], 8))
        where = "rmsnorm/bf16/h128/r4/n1/warm"
        self.assertIn(f"quack in {where} ended the process (status 139)", error)
        self.assertEqual([(f["cell"], f["impl"]) for f in data["failures"]], [(where, "quack")])
        self.assertEqual(self.starts(), 3)

    def test_a_process_that_hangs_is_ended_and_the_rest_is_measured(self):
        with mock.patch.multiple(supervisor, START_S=0.0, KEY_S=0.0, MOST_RESTARTS=1):
            status, data, error = self.run_bench()
        self.assertIn("in start ran out of time: the process was ended after 0 s", error)
        self.assertEqual((status, len(data["not_run"])), (1, 8))
        with mock.patch.multiple(supervisor, TURN_S=2, SLOWEST=0):
            status, data, error = self.run_bench(crash="time.sleep(100)")
        why = "ran out of time: the process was ended after 2 s"
        self.assertIn(f"quack in rmsnorm/bf16/h128/r4/n1/warm {why}, going on", error)
        self.assertEqual((data["failures"][-1]["error"], data["not_run"], status), (why, [], 0))

    def test_a_turn_may_take_several_times_what_is_expected_of_its_cells(self):
        cells = grid.full_grid()
        with mock.patch.object(supervisor.subprocess, "Popen"):
            child = supervisor.Child(cells, os.path.dirname(self.out), [], [], None)
            few = supervisor.Child(cells[:1], os.path.dirname(self.out), [], [], None)
        seconds = [grid.expected_seconds(cell) for cell in cells if grid.tier(cell) == 0]
        self.assertGreater(child.turn_limit_s(0), 5 * sum(seconds))
        self.assertEqual(few.turn_limit_s(grid.tier(cells[0])), 300)
        with mock.patch.object(supervisor, "TURN_S", 1):  # of the few cells here more are expected
            self.assertEqual(self.run_bench(seconds=0.6)[1]["failures"], [])

    def test_a_time_limit_stops_in_good_order_and_names_what_is_left(self):
        # The first turn alone takes the whole second.
        _, data, _ = self.run_bench("--time-limit", "1", seconds=0.5)
        self.assertEqual(len(data["cells"]) + len(data["not_run"]), 8)
        self.assertGreaterEqual(len(data["not_run"]), 6)
        self.assertEqual(len(data["runs"]), 1)

    def test_a_killed_run_has_left_a_file_of_what_was_measured(self):
        written = []
        flush = record.Record.flush

        def watch(self):
            flush(self)
            written.append((len(self.data["cells"]), len(self.data["not_run"])))

        with mock.patch.object(record.Record, "flush", watch):
            self.run_bench()
        self.assertTrue(any(0 < done < 8 and done + left == 8 for done, left in written), written)

    def test_phases_of_processes_side_by_side_count_once(self):
        parts = [{"import": 2.0, "measure": 1.0}, {"import": 3.0, "measure": 1.5}]
        self.assertEqual(phases.joined(parts, ("import",)), {"import": 3.0, "measure": 2.5})


class Confirm(unittest.TestCase):
    slow = grid.Cell("rmsnorm", "bf16", 4096, 16)
    fine = grid.Cell("rmsnorm", "bf16", 4096, 64)

    def data(self, *runs):
        entries = []
        for run, us in runs:
            for cell, ours in ((self.slow, us), (self.fine, 1.0)):
                entries.append(entry(cell, "rmsjit", ours, run=run))
                entries.append(entry(cell, "quack", 1.0, run=run))
        return results(entries)

    def test_only_cells_of_one_run_with_a_faster_peer_run_again(self):
        self.assertEqual(cell_group.to_confirm(self.data(("a", 1.1))), {self.slow.id})
        self.assertEqual(cell_group.to_confirm(self.data(("a", 1.01))), set())
        self.assertEqual(cell_group.to_confirm(self.data(("a", 1.1), ("b", 1.1))), set())
        self.assertEqual(cell_group.to_confirm(self.data(("a", 1.1), ("b", 1.0))), set())

    def test_the_option_chooses_them(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a.json")
            record.Record(path, self.data(("a", 1.1))).flush()
            out = io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
                status = bench.main(["list", "--confirm", path])
                self.assertEqual(bench.main(["list", "--confirm", path + "x"]), 2)
        self.assertEqual(status, 0)
        (line,) = out.getvalue().splitlines()
        self.assertIn(self.slow.id, line)


class Cells(unittest.TestCase):
    def test_a_file_chooses_cells_and_an_unknown_one_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "cells.txt")
            wanted = {cell.id for cell in grid.full_grid()[3:9:2]}
            with open(path, "w") as file:
                file.write("\n".join(wanted))
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                self.assertEqual(bench.main(["list", "--cells", path]), 0)
                with open(path, "a") as file:
                    file.write("\nrmsnorm/bf16/h4096/r3/n1/warm")
                self.assertEqual(bench.main(["list", "--cells", path]), 2)
        self.assertEqual({line.split()[1] for line in out.getvalue().splitlines()}, wanted)
        self.assertIn("rmsnorm/bf16/h4096/r3/n1/warm is not in the grid", err.getvalue())


class Shards(unittest.TestCase):
    def test_shards_take_about_the_same_time_and_share_no_compiled_kernel(self):
        parts = [grid.shard(grid.full_grid(), i, 2) for i in range(2)]
        costs = [sum(grid.expected_seconds(cell) for cell in part) for part in parts]
        self.assertLess(max(costs) / min(costs), 1.1)
        keys = [{grid.key(cell) for cell in part} for part in parts]
        self.assertEqual(keys[0] & keys[1], set())


if __name__ == "__main__":
    unittest.main()
