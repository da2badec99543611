# SPDX-License-Identifier: Apache-2.0
"""What ncu watches, on the made-up device of the measuring loop. Skipped where python has no
torch."""

import io
import json
import os
import types
import unittest

import bench_measure_test as measured

if measured.torch is not None:
    from benchlib import peers, profile_jobs, profiled, record


@unittest.skipIf(measured.torch is None, "python has no torch")
class Profiled(unittest.TestCase):
    def test_a_profiled_job_is_launched_unseen_first_and_once_between_the_marks(self):
        device, log, ahead = measured.Device(), [], []

        class Logged(peers.Torch):
            def prepare(self, wanted):
                ahead.append([(cell.rows, variant.pdl) for cell, variant in wanted])
                raise RuntimeError("one of them does not compile")

            def bind(self, cell, variant, sets):
                return lambda i: log.append(cell.rows)

        session = types.SimpleNamespace(
            adapters=[Logged(None, device), measured.Broken(None, device)],
            record=record.Record(os.devnull),
            device=device,
            pool=None,
        )
        maths = {"pdl": False, "rounding": "once", "in_place": False, "threads": 0}
        jobs = [
            {"impl": impl, "shape": ["rmsnorm", "bf16", 64, rows, 1, "warm"], **maths}
            for rows, impl in ((1, "torch"), (2, "broken"), (3, "absent"), (4, "torch"))
        ]
        done = io.StringIO()
        marks = lambda: log.append("begin"), lambda: log.append("end")
        profiled.run(session, jobs, done, marks, lambda: len(log) > 9)
        lines = [json.loads(line) for line in done.getvalue().splitlines()]
        self.assertEqual([line["kernels"] for line in lines], [1, 0, 0, 1])
        self.assertEqual(log, [1, "begin", 1, "end", 4, "begin", 4, "end"])
        self.assertIn("does not build", lines[1]["error"])
        self.assertIn("not loaded", lines[2]["error"])
        self.assertEqual(ahead, [[(1, False), (4, False)]])  # in one batch, before the launches

    def test_jobs_beyond_the_deadline_say_so_and_compile_nothing(self):
        adapter, compiled = measured.Broken(None, measured.Device()), []
        adapter.prepare = compiled.append
        session = types.SimpleNamespace(adapters=[adapter], device=measured.Device())
        jobs, done = [{"impl": "broken"}, {"impl": "broken"}], io.StringIO()
        profiled.run(session, jobs, done, None, lambda: True)
        errors = [json.loads(line)["error"] for line in done.getvalue().splitlines()]
        self.assertEqual(errors, [f"TimeoutError: {profile_jobs.OUT_OF_TIME}"] * 2)
        self.assertEqual(compiled, [])


if __name__ == "__main__":
    unittest.main()
