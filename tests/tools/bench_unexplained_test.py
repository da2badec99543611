# SPDX-License-Identifier: Apache-2.0
"""From a miss without a reason to its profile: what profile_cells.py --unexplained chooses to
launch, in which order, and that no job is lost."""

import json
import os
import unittest

from bench_fake_ncu import ProfileCase
from bench_results import entry, results
import compare
from benchlib import grid, profile_jobs

WORST = grid.Cell("rmsnorm", "bf16", 4096, 2048, 1, "cold")
NEXT = grid.Cell("fused_add", "bf16", 4096, 256)
LAST = grid.Cell("rmsnorm", "bf16", 768, 256, 1, "cold")
PROVED = grid.Cell("rmsnorm", "bf16", 4096, 1)
FAST = grid.Cell("rmsnorm", "bf16", 2048, 256)
ADD = "unrounded,once"


def entries():
    """Slower than a peer: WORST without PDL (in two roundings, once is the worse), NEXT in place at
    the better of both, LAST without."""
    return [
        entry(WORST, "rmsjit", 9.0), entry(WORST, "rmsjit", 3.0, True),
        entry(WORST, "quack", 6.0), entry(WORST, "liger", 6.2, rounding="twice"),
        entry(WORST, "rmsjit", 6.5, rounding="twice"),
        entry(NEXT, "rmsjit", 1.0, False, ADD, True), entry(NEXT, "rmsjit", 1.4, True, ADD, True),
        entry(NEXT, "rmsjit", 0.7, True, ADD), entry(NEXT, "rmsjit", 1.2, False, ADD),
        entry(NEXT, "flashinfer", 1.3, False, ADD, True),
        entry(NEXT, "flashinfer", 0.8, True, ADD, True),
        entry(LAST, "rmsjit", 1.1), entry(LAST, "quack", 1.0),
        entry(FAST, "rmsjit", 1.0), entry(FAST, "quack", 1.2),
        entry(FAST, "rmsjit", 1.0, True), entry(FAST, "flashinfer", 1.2, True),
    ]  # fmt: skip


def launches(items):
    return [(item["cell"], item["impl"], item["pdl"], item["in_place"]) for item in items]


OURS = [
    (WORST.id, "rmsjit", False, False),
    (NEXT.id, "rmsjit", False, True),
    (LAST.id, "rmsjit", False, False),
]
PEERS = [
    (WORST.id, "quack", False, False),
    (NEXT.id, "flashinfer", True, True),
    (LAST.id, "quack", False, False),
]


def by_l2(items):
    """As two processes have them: the cold ones first."""
    return sorted(items, key=lambda item: item[0].endswith("warm"))


class Unexplained(ProfileCase):
    def test_ours_is_chosen_in_the_state_of_each_miss_worst_first_and_then_the_fastest_peers(self):
        data = results(entries())
        jobs = profile_jobs.of_misses(data, compare.report(data, False)[0])
        self.assertEqual(launches(jobs), OURS + PEERS)
        self.assertEqual([job["rounding"] for job in jobs[:2]], ["once", ADD])
        self.assertEqual(jobs[0]["shape"], ("rmsnorm", "bf16", 4096, 2048, 1, "cold"))

    def test_a_cell_that_misses_with_pdl_off_and_on_is_launched_in_both_states(self):
        found = [entry(PROVED, "rmsjit", 1.1), entry(PROVED, "rmsjit", 1.0, True)]
        found += [entry(PROVED, "quack", 1.15), entry(PROVED, "flashinfer", 1.1, True)]
        data = results(found)
        jobs = profile_jobs.of_misses(data, compare.report(data, False)[0])
        # 1.1 / 1.3 with PDL is further off than 1.15 / 1.2.
        wanted = [("rmsjit", True), ("rmsjit", False), ("flashinfer", True), ("quack", False)]
        self.assertEqual([(job["impl"], job["pdl"]) for job in jobs], wanted)

    def test_a_launch_that_misses_two_targets_ranks_by_the_worse_and_is_there_once(self):
        found = [entry(PROVED, "rmsjit", 1.06), entry(PROVED, "quack", 1.0)]  # 1.06 / (1 / 1.2)
        found += [entry(LAST, "rmsjit", 1.1), entry(LAST, "quack", 1.0)]
        data = results(found)
        jobs = profile_jobs.of_misses(data, compare.report(data, False)[0])
        cells = [(job["cell"], job["impl"]) for job in jobs]
        ours = [(PROVED.id, "rmsjit"), (LAST.id, "rmsjit")]
        self.assertEqual(cells, ours + [(PROVED.id, "quack"), (LAST.id, "quack")])

    def test_a_peer_that_is_the_fastest_beside_two_launches_of_ours_is_launched_once(self):
        found = [entry(PROVED, "rmsjit", 1.0), entry(PROVED, "rmsjit", 1.4, True)]
        found += [entry(PROVED, "flashinfer", 1.5), entry(PROVED, "flashinfer", 0.8, True)]
        data = results(found)
        jobs = profile_jobs.of_misses(data, compare.report(data, False)[0])
        wanted = [("rmsjit", True), ("rmsjit", False), ("flashinfer", True)]
        self.assertEqual([(job["impl"], job["pdl"]) for job in jobs], wanted)

    def test_a_miss_that_the_record_explains_is_not_profiled(self):
        def jobs(*more):
            data = results([entry(PROVED, "rmsjit", 1.1), entry(PROVED, "quack", 1.2), *more])
            return profile_jobs.of_misses(data, compare.report(data, False)[0])

        self.assertEqual([job["impl"] for job in jobs()], ["rmsjit", "quack"])
        self.assertEqual(jobs(entry(PROVED, "barrier_floor", 1.05)), [])  # the target's limit: 1.0

    def test_one_command_profiles_them_all_and_a_limit_to_ours_leaves_the_peers_out(self):
        status, data, text = self.profile(entries(), [])
        self.assertEqual(launches(data["kernels"]), by_l2(OURS + PEERS))
        self.assertEqual((status, data["failures"]), (0, []), text)
        status, data, text = self.profile(entries(), [], "--impl", "rmsjit")
        self.assertEqual((status, launches(data["kernels"])), (0, by_l2(OURS)))
        self.assertIn("3 jobs of 3 cells, 0 done before", text)

    def test_launches_that_a_file_has_are_left_out_unless_it_is_of_other_results(self):
        _, data, _ = self.profile(entries(), [], "--impl", "rmsjit")
        done = self.path("done.json", json.dumps(data))
        _, data, text = self.profile(entries(), [], "--done", done)
        self.assertEqual(launches(data["kernels"]), by_l2(PEERS))
        self.assertIn("3 jobs of 3 cells, 3 done before", text)
        for kernel in data["kernels"]:
            kernel["recorded_us"] += 0.01
        done = self.path("other.json", json.dumps(data))
        _, data, text = self.profile(entries(), [], "--done", done)
        self.assertEqual(launches(data["kernels"]), by_l2(OURS + PEERS))
        self.assertIn("other.json: 0 launches; 3 kernels are of other results", text)

    def test_a_file_that_is_read_is_never_written_over(self):
        done = self.path("done.json", json.dumps({"schema_version": 1, "kernels": []}))
        for path in (done, os.path.join(self.folder, ".", "results.json")):
            with self.assertRaises(SystemExit) as raised:
                self.profile(entries(), [], "--done", done, "--out", path)
            self.assertEqual(raised.exception.code, 2)
        with open(done, encoding="utf-8") as file:
            self.assertEqual(json.load(file), {"schema_version": 1, "kernels": []})

    def test_while_a_process_runs_the_file_has_all_jobs_that_are_not_done(self):
        # Whoever ends it all from outside then leaves a file that names them.
        out, seen = os.path.join(self.folder, "out.json"), os.path.join(self.folder, "seen")
        change = f"open({seen!r}, 'a').write(' '.join(open({out!r}).read().split()) + chr(10))"
        self.profile(entries(), [], change=change)
        with open(seen, encoding="utf-8") as file:
            cold, warm = (json.loads(line) for line in file)
        self.assertEqual(sorted(launches(cold["failures"])), sorted(OURS + PEERS))
        self.assertEqual({job["error"] for job in cold["failures"]}, {"not profiled yet"})
        self.assertEqual(launches(warm["failures"]), [OURS[1], PEERS[1]])
        self.assertEqual(len(warm["kernels"]), 4)

    def test_what_there_was_no_time_for_is_a_failure_of_each_job(self):
        left = os.path.join(self.folder, "started")
        each = f"open({left!r}, 'w')"
        status, data, text = self.profile(entries(), [], "--seconds", "0", each=each)
        self.assertEqual((status, data["kernels"]), (1, []))
        self.assertEqual(sorted(launches(data["failures"])), sorted(OURS + PEERS))
        self.assertFalse(os.path.exists(left))  # no process was worth starting
        self.assertEqual(text.count("out of time"), 6)
        late = {"kernels": 0, "error": "TimeoutError: out of time"}
        each = f"if job['impl'] == 'quack': line.update({late})"
        status, data, _ = self.profile(entries(), [], each=each)
        self.assertEqual((status, len(data["kernels"])), (1, 4))
        self.assertEqual(launches(data["failures"]), [PEERS[0], PEERS[2]])

    def test_cold_and_warm_share_the_time_and_what_is_left_of_it_goes_to_the_cold_ones(self):
        # The first process is cut after one job. Its folder, with our compiled kernels, stays.
        each = """
        past = os.path.join(folder, "kept")
        if cold and kernels and not os.path.exists(past):
            line.update(kernels=0, error="TimeoutError: out of time")"""
        change = """
    deadline = next(float(word[11:]) for word in sys.argv if word.startswith("--deadline="))
    about["rest" if cold and os.path.exists(past) else "cold" if cold else "warm"] = deadline
    if cold: open(past, "w")"""
        status, data, _ = self.profile(entries(), [], "--seconds", "600", each=each, change=change)
        wanted = [OURS[0], OURS[1], PEERS[1], OURS[2], PEERS[0], PEERS[2]]
        self.assertEqual((status, launches(data["kernels"])), (0, wanted))
        self.assertAlmostEqual(data["rest"] - data["cold"], 600 * 2 / 6, delta=5)
        self.assertAlmostEqual(data["rest"], data["warm"], delta=0.01)

    def test_a_process_that_ends_early_keeps_what_it_had_and_names_the_rest(self):
        # The last kernel that ncu saw is of the job that ended it.
        change = "done.seek(0); done.truncate(); done.write(json.dumps({**jobs[0], 'kernels': 1}))"
        _, data, text = self.profile(entries(), [], "--impl", "rmsjit", change=change)
        self.assertEqual(launches(data["kernels"]), [OURS[0], OURS[1]])
        self.assertEqual(launches(data["failures"]), [OURS[2]])
        self.assertIn(f"failed: {LAST.id} rmsjit the process under ncu ended before", text)


if __name__ == "__main__":
    unittest.main()
