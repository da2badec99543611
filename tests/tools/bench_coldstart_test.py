# SPDX-License-Identifier: Apache-2.0
"""The parent of `bench.py coldstart`, with a program of a few lines in place of its processes."""

import contextlib
import io
import json
import os
import tempfile
import textwrap
import unittest
from unittest import mock

import bench_results  # noqa: F401 (finds the package)
import bench
from benchlib import coldstart, machine, record

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
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = os.path.join(folder.name, "out.json")
        self.program = os.path.join(folder.name, "child.py")
        with open(self.program, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(CHILD))

    def main(self, *arguments):
        names, error = ("absent", "crash", "slow", "one", "two"), io.StringIO()
        patch = mock.patch.multiple(coldstart, PROGRAM=self.program, IMPLEMENTATIONS=names)
        with patch, contextlib.redirect_stderr(error):
            return bench.main(["coldstart", "--out", self.out, *arguments]), error.getvalue()

    def run_bench(self, *arguments):
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.out)
        self.assertEqual(self.main(*arguments)[0], 0)
        return record.load(self.out)["cold"]

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

    def test_the_file_names_the_gpu_the_driver_and_the_commit(self):
        facts = {"driver": "580 (CUDA 13.0)", "nvrtc": "13.0", "clocks": {"clocks.sm": "1980"}}
        known = {"gpu_name": lambda: "H", "facts": lambda _: facts, "git_commit": lambda: "c0ffee"}
        with mock.patch.multiple(machine, **known):
            self.run_bench("--impl", "one")
            head = {**facts, "gpu": "H", "commit": "c0ffee"}
            data = record.load(self.out)
            self.assertEqual({name: data[name] for name in head}, head)
            self.run_bench("--impl", "one", "--commit", "beef")
        self.assertEqual(record.load(self.out)["commit"], "beef")

    def test_a_file_that_is_there_is_refused_and_stays(self):
        with open(self.out, "w", encoding="utf-8") as file:
            json.dump({"schema_version": 1, "cold": [1]}, file)
        status, error = self.main("--impl", "one")
        self.assertEqual(status, 2)
        self.assertIn(f"--out {self.out} exists and coldstart takes up none", error)
        self.assertEqual(record.load(self.out)["cold"], [1])

    def test_an_implementation_that_there_is_not_is_refused(self):
        status, error = self.main("--impl", "one,three")
        self.assertEqual(status, 2)
        self.assertIn("--impl 'three' is not one of absent, crash, slow, one, two", error)

    def test_a_program_that_is_not_there_is_an_entry_as_well(self):
        found = self.run_bench("--impl", "one", "--bench", "/nonexistent/rmsnorm-bench")
        self.assertIn("/nonexistent/rmsnorm-bench", found[-1]["error"])


if __name__ == "__main__":
    unittest.main()
