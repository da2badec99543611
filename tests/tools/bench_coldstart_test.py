# SPDX-License-Identifier: Apache-2.0
"""The parent of `bench.py coldstart`, with a program of a few lines in place of its processes."""

import contextlib
import io
import os
import tempfile
import textwrap
import unittest
from unittest import mock

import bench_results  # noqa: F401 (finds the package)
import bench
from benchlib import coldstart, record

CHILD = """
    import json, os, sys, time
    name = sys.argv[1]
    folder = os.environ["TRITON_CACHE_DIR"]
    print("a package says hello")
    if name == "slow":
        time.sleep(60)
    if name == "absent":
        print("coldstart " + json.dumps({"error": "Missing: no such package"}))
    elif name == "crash":
        sys.exit("cannot go on")
    else:
        warm = os.path.exists(folder + "/left")
        open(folder + "/left", "w").close()
        print("coldstart " + json.dumps({"import_ms": 1.0, "ms": 2.0 if warm else 200.0}))
        print("and good bye")
"""


class ColdStart(unittest.TestCase):
    def run_bench(self, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            program, out = os.path.join(folder, "child.py"), os.path.join(folder, "out.json")
            with open(program, "w", encoding="utf-8") as file:
                file.write(textwrap.dedent(CHILD))
            with mock.patch.object(coldstart, "PROGRAM", program):
                with contextlib.redirect_stderr(io.StringIO()):
                    status = bench.main(["coldstart", "--out", out, *arguments])
            self.assertEqual(status, 0)
            return record.load(out)["cold"]

    def test_the_second_process_finds_what_the_first_left_and_the_next_name_does_not(self):
        found = self.run_bench("--impl", "one,two")
        self.assertEqual(
            [(e["impl"], e["route"], e["ms"]) for e in found],
            [("one", "cold", 200.0), ("one", "disk", 2.0)]
            + [("two", "cold", 200.0), ("two", "disk", 2.0)],
        )

    def test_who_cannot_be_measured_is_named_with_the_reason_and_the_rest_goes_on(self):
        found = self.run_bench("--impl", "absent,crash,one")
        self.assertEqual([e["impl"] for e in found], ["absent", "crash", "one", "one"])
        self.assertEqual(found[0]["error"], "Missing: no such package")
        self.assertEqual(found[1]["error"], "cannot go on")

    def test_a_process_has_a_limit_and_so_have_all(self):
        found = self.run_bench("--impl", "slow,one", "--process-limit", "0.3")
        self.assertIn("not done after", found[0]["error"])
        found = self.run_bench("--impl", "one", "--time-limit", "1")
        self.assertEqual([e["error"] for e in found], ["not run: the time was up"])

    def test_a_program_that_is_not_there_is_an_entry_as_well(self):
        found = self.run_bench("--impl", "one", "--bench", "/nonexistent/rmsnorm-bench")
        self.assertIn("/nonexistent/rmsnorm-bench", found[-1]["error"])


if __name__ == "__main__":
    unittest.main()
