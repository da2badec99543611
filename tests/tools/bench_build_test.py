# SPDX-License-Identifier: Apache-2.0
"""tools/bench/build_throughput.py with a program that sleeps in the place of rmsnorm-aot."""

import contextlib
import io
import json
import os
import tempfile
import textwrap
import unittest

import bench_results  # noqa: F401 (finds the folder)
import build_throughput

AOT = """\
    #!/bin/sh
    # Ten milliseconds a spec and target, shared by the jobs; --specs FILE --arch LIST --jobs N.
    while [ $# -gt 0 ]; do
      case $1 in
        --specs) specs=$(wc -l < "$2");;
        --arch) targets=$(echo "$2" | tr ',' ' ' | wc -w);;
        --jobs) jobs=$2;;
        --out) [ -e "$2" ] && exit 3;;
      esac
      shift
    done
    sleep $(awk "BEGIN{print 0.01 * $specs * $targets / $jobs}")
"""


class BuildThroughput(unittest.TestCase):
    def run_it(self, program, *arguments):
        out, error = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            status = build_throughput.main(["--aot", program, *arguments])
        return status, out.getvalue(), error.getvalue()

    def test_the_list_is_every_size_plain_and_add_in_two_types(self):
        specs = build_throughput.whole_list()
        self.assertEqual(len(specs), len(set(specs)))
        self.assertEqual(len(specs), 4 * len(build_throughput.SIZES))
        self.assertIn("hidden=2880,x=f16,residual=add", specs)

    def test_scaling_is_against_one_job_and_the_whole_list_is_built_once(self):
        with tempfile.TemporaryDirectory() as folder:
            program, record = os.path.join(folder, "aot"), os.path.join(folder, "out.json")
            with open(program, "w", encoding="utf-8") as file:
                file.write(textwrap.dedent(AOT))
            os.chmod(program, 0o755)
            status, out, error = self.run_it(
                program, "--jobs", "1,4", "--sample", "80", "--out", record
            )
            self.assertEqual((status, error), (0, ""))
            with open(record, encoding="utf-8") as file:
                data = json.load(file)
        one, four = data["sample"]
        self.assertEqual((one["keys"], four["keys"], data["whole"]["keys"]), (80, 80, 400))
        self.assertEqual(one["scaling"], 1)
        self.assertTrue(2.5 < four["scaling"] <= 4.2, four)
        self.assertAlmostEqual(four["of_jobs"], four["scaling"] / 4, delta=0.01)
        self.assertEqual(len(out.splitlines()), 3)
        # Its keys are others than the sample's, whose one-job rate says nothing of them.
        self.assertNotIn("scaling", data["whole"])
        self.assertNotIn("of the jobs", out.splitlines()[2])

    def test_a_build_that_fails_is_no_measurement(self):
        status, _, error = self.run_it("/bin/false")
        self.assertEqual(status, 1)
        self.assertIn("returned non-zero", error)


if __name__ == "__main__":
    unittest.main()
