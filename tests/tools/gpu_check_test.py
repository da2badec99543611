# SPDX-License-Identifier: Apache-2.0
"""tools/gpu_check.sh with programs that only say what the real ones say: counts are summed over the
shards, no failure or finding is lost, and what was running when time ran out can be seen."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "gpu_check.sh"

GPU_TEST = """
[ "$HANG" = "$GTEST_SHARD_INDEX" ] && sleep 60
case $1 in --gtest_filter=-*) ;; *) [ -z "$EMPTY" ] || { echo '[  PASSED  ] 0 tests.'; exit 0; } ;; esac
if [ "$FAIL" = "$GTEST_SHARD_INDEX" ]; then
  echo 'shard with a problem'
  echo '[  PASSED  ] 3 tests.'
  echo '[  FAILED  ] 1 test, listed below:'
  exit 1
fi
echo '[  PASSED  ] 4 tests.'
echo '[  SKIPPED ] 1 test, listed below:'
"""
SANITIZER = """
tool=$2 found=0
shift 4
"$@" || exit
[ "$FIND" = "$tool" ] && [ "$GTEST_SHARD_INDEX" = 0 ] && found=2
case $tool in
  racecheck) echo "========= RACECHECK SUMMARY: $found hazards displayed ($found errors, 0 warnings)" ;;
  *) echo "========= ERROR SUMMARY: $found errors" ;;
esac
[ $found = 0 ] || exit 9
"""


class GpuCheck(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.top = pathlib.Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)
        for place in ("bin", "release/tests", "release/bin", "demo-bundle"):
            (self.top / place).mkdir(parents=True)
        self.program("release/tests/gpu_test", GPU_TEST)
        self.program("bin/compute-sanitizer", SANITIZER)
        self.program("bin/nproc", "echo 16")
        self.program("bin/nvidia-smi", "echo a GPU")
        for name in ("rmsjit-demo", "rmsnorm-aot", "rmsjit-decoder-loop"):
            self.program(f"release/bin/{name}", f"echo {name} speaks")

    def program(self, name, text):
        path = self.top / name
        path.write_text(f"#!/bin/bash\n{text.strip()}\n", encoding="utf-8")
        path.chmod(0o755)

    def check(self, limit=None, **environment):
        environment["PATH"] = f"{self.top}/bin:{os.environ['PATH']}"
        command = [SCRIPT, self.top / "release", self.top / "out"]
        if limit:
            command = ["timeout", str(limit), *command]
        return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True,
                              check=False)

    def line(self, ran, step):
        return re.search(rf"^{step} .*$", ran.stdout, re.M).group(0)

    def test_counts_are_summed_and_a_step_has_one_log(self):
        ran = self.check()
        self.assertEqual(ran.returncode, 0, ran.stdout)
        self.assertRegex(self.line(ran, "gpu_test"), "ok .* 32 passed, 8 skipped, 0 failed")
        self.assertRegex(self.line(ran, "gpu_test_alone"), "ok .* 4 passed, 1 skipped")
        for tool in ("memcheck", "racecheck", "initcheck"):
            self.assertRegex(self.line(ran, tool),
                             "ok .* 12 passed, .* 0 failed; 0 findings in 3 reports")
        self.assertIn("rmsnorm-aot speaks", ran.stdout)
        self.assertLessEqual(len(list((self.top / "out").iterdir())), 8)

    def test_a_failed_shard_fails_its_step_and_shows_its_end(self):
        ran = self.check(FAIL="2")
        self.assertEqual(ran.returncode, 1)
        self.assertRegex(self.line(ran, "gpu_test"), "FAILED .* 31 passed, 7 skipped, 1 failed")
        self.assertIn("2| shard with a problem", ran.stdout)
        self.assertRegex(self.line(ran, "gpu_test_alone"), "ok")

    def test_a_finding_fails_its_tool_alone(self):
        ran = self.check(FIND="racecheck")
        self.assertEqual(ran.returncode, 1)
        self.assertRegex(self.line(ran, "racecheck"), "FAILED .* 2 findings in 3 reports")
        self.assertRegex(self.line(ran, "memcheck"), "ok")

    def test_no_test_at_all_is_a_failure(self):
        ran = self.check(EMPTY="1")
        self.assertEqual(ran.returncode, 1)
        self.assertRegex(self.line(ran, "gpu_test_alone"), "FAILED .* 0 passed")

    def test_when_time_runs_out_the_last_line_says_what_was_running(self):
        ran = self.check(limit=4, HANG="1")
        self.assertEqual(ran.returncode, 124)
        self.assertRegex(ran.stdout.splitlines()[-1], r"^at \d+ s: gpu_test$")
        self.assertIn("[  PASSED  ] 4 tests.", (self.top / "out/gpu_test.log").read_text())

    def test_the_tests_that_need_the_device_alone_are_there(self):
        names = re.search(r"^alone='(.*)'$", SCRIPT.read_text(encoding="utf-8"), re.M).group(1)
        sources = "".join(map(pathlib.Path.read_text, ROOT.glob("tests/gpu/*_test.cc")))
        for name in names.split(":"):
            suite, test = name.split(".")
            wanted = rf"TEST_F\({suite}, " + ("" if test == "*" else rf"{test}\)")
            self.assertRegex(sources, wanted)


if __name__ == "__main__":
    unittest.main()
