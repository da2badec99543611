# SPDX-License-Identifier: Apache-2.0
"""Nsight Compute, and the process that it watches, as a program of a few lines: for the tests of
tools/bench/profile_cells.py."""

import contextlib
import io
import json
import os
import sys
import tempfile
import textwrap
import unittest

from bench_results import results
import profile_cells

# As ncu 2025.3 writes a raw page: a line of names, a line of units, a line for each kernel.
HEAD = ["ID", "Process ID", "Kernel Name", "Block Size", "gpu__time_duration.sum",
        "dram__bytes_read.sum", "launch__cluster_size", "lts__t_sector_hit_rate.pct",
        "smsp__average_warps_issue_stalled_barrier_per_issue_active.ratio",
        "smsp__average_warps_issue_stalled_barrier_not_issued_per_issue_active.ratio",
        "smsp__average_warps_issue_stalled_long_scoreboard_per_issue_active.ratio"]  # fmt: skip
UNITS = ["", "", "", "", "ns", "byte", "", "%", "inst", "inst", "inst"]


def page(*kernels):
    lines = [HEAD, UNITS]
    for i, (name, ns) in enumerate(kernels):
        row = (i, 7, name, "(256, 1, 1)", ns, "16,777,216", 8, "n/a", 1.5, 1.25, 4.5)
        lines.append([str(v) for v in row])
    text = "\n".join(",".join(f'"{cell}"' for cell in line) for line in lines)
    return f"==PROF== Connected to process 7\n==PROF== Profiling - 9 passes\n{text}\n"


# Takes ncu's place: launches every job as one kernel, an inductor's as two, and torch's not at all.
# `each` is run for each job, `change` after all.
NCU = """
    import json, os, sys
    sys.path[:0] = [{tests!r}]
    from bench_fake_ncu import page
    folder = next(word[8:] for word in sys.argv if word.startswith("--child="))
    cold = sys.argv[sys.argv.index("--cache-control") + 1] == "all"
    jobs = json.load(open(os.path.join(folder, "jobs.json")))
    kernels, done, about = [], open(os.path.join(folder, "done"), "w"), {{"gpu": "H"}}
    for job in jobs:
        assert job["cell"].endswith("cold" if cold else "warm")
        line = {{**job, "kernels": 2 if job["impl"] == "inductor" else 1}}
        if job["impl"] == "torch":
            line = {{**job, "kernels": 0, "error": "RuntimeError: no"}}
        {each}
        print(json.dumps(line), file=done)
        kernels += [(job["impl"] + "_kernel", 2000 if cold else 1000)] * line["kernels"]
    {change}
    json.dump(about, open(os.path.join(folder, "about.json"), "w"))
    open(sys.argv[sys.argv.index("--log-file") + 1], "w").write(page(*kernels))
"""


class ProfileCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def profile(self, entries, cells, *more, change="pass", each="pass"):
        """The exit status, the file written, and all that was printed. Without cells: those
        unexplained."""
        tests = os.path.dirname(os.path.abspath(__file__))
        text = textwrap.dedent(NCU.format(tests=tests, change=change, each=each))
        program = self.path("ncu", f"#!{sys.executable}\n{text}")
        os.chmod(program, 0o755)
        out, shown, error = os.path.join(self.folder, "out.json"), io.StringIO(), io.StringIO()
        argv = [self.path("results.json", json.dumps(results(entries))), "--ncu", program]
        named = ["--cells", self.path("cells.txt", "\n".join(cells))]
        argv += [*(named if cells else ["--unexplained"]), "--out", out, *more]
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(error):
            status = profile_cells.main(argv)
        with open(out, encoding="utf-8") as file:
            return status, json.load(file), shown.getvalue() + error.getvalue()
