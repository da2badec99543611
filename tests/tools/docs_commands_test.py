# SPDX-License-Identifier: Apache-2.0
"""docs_commands_test.py CLI STUB_DRIVER: every command that the documentation shows is run, page by
page in a folder that holds what it names, or stands in NOT_RUN with the reason; every C and C++
block is compiled. Python blocks are run by tests/python/test_docs.py. api.md is left out:
docs_test.py holds it against the headers."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [page for page in (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("runtime/**/*.md")),
                           *sorted(ROOT.glob("tools/**/*.md"))) if page.name != "api.md"]
CONFIG = ROOT / "tools/models/configs/llama-3.2-1b.json"
PYTHON = "python"  # run elsewhere
COMPILERS = {"c": ["cc", "-std=c99", "-xc"],
             "cpp": ["c++", "-std=c++20", "-fno-exceptions", "-xc++"]}

#: How a line begins: why it is not run here.
NOT_RUN = {
    "git clone": "fetches the repository that this is",
    "tools/demo.sh": "installs packages; the demo is a test of its own",
    "tools/test.sh": "runs this test",
    "cmake --preset": "is the build that this test belongs to",
    "pip install": "done by tests/python/wheel_test.sh",
    "RMSJIT_BUNDLE_PATH=bundle": "the reader's program; engine_test.sh runs the example's",
    "cc -std=c99": "done by tests/consumer/engine_test.sh",
    "tools, tests ->": "a picture",
    "build/release/bin/rmsnorm-bench": "times a device",
    "python3 tools/bench/bench.py coldstart": "times a device",
    "python3 tools/bench/bench.py run": "times a device",
    "python3 tools/bench/bench.py merge": "reads what a device gave",
    "python3 tools/bench/build_throughput.py": "takes minutes; bench_build_test runs it",
    "python3 tools/bench/compare.py": "reads what a device gave; bench_compare_test runs it",
    "python3 tools/bench/plot.py": "reads what a device gave",
    "python3 tools/bench/profile_cells.py": "profiles a device; bench_profile_test runs it",
}


def fences(page):
    """(language, text) of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)


def commands(page):
    """The shell lines of a page: indented blocks, and fences of sh or of no language."""
    lines, before = [], ""
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("    ") and (not before or before.startswith("    ")):
            lines.append(line)
        before = line
    for language, text in fences(page):
        lines += text.splitlines() if language in ("", "sh", "bash") else []
    return [line.split("  #")[0].strip() for line in lines if line.strip()]


def furnish(place):
    """What the commands name: a model's config, a journal of misses, a bundle, a local cache."""
    shutil.copy(CONFIG, place / "config.json")
    (place / "rmsjit-misses").write_text("hidden=64,x=bf16\n")
    subprocess.run([CLI, "build", "--quiet", "--spec", "hidden=64", "--arch", "sm_90", "--out",
                    place / "bundle"], check=True)
    shutil.copytree(place / "bundle", place / "cache")
    (place / "bin").mkdir()
    (place / "bin/rmsnorm-aot").symlink_to(CLI)
    (place / "tools").symlink_to(ROOT / "tools")
    return {**os.environ, "PATH": f"{place / 'bin'}:{os.environ['PATH']}", "LD_LIBRARY_PATH": STUB,
            "RMSJIT_CACHE_DIR": str(place / "cache")}


class DocsCommands(unittest.TestCase):
    def run_page(self, page, place, lines):
        environment = furnish(place)
        for line in lines:
            with self.subTest(page=page.name, line=line):
                done = subprocess.run(line, shell=True, cwd=place, env=environment,
                                      capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_command_runs_or_has_a_reason(self):
        used, ran = set(), 0
        for page in PAGES:
            reasons = {line: next((start for start in NOT_RUN if line.startswith(start)), None)
                       for line in commands(page)}
            lines = [line for line, reason in reasons.items() if reason is None]
            used.update(reason for reason in reasons.values() if reason is not None)
            if lines:
                with tempfile.TemporaryDirectory() as folder:
                    self.run_page(page, pathlib.Path(folder), lines)
            ran += len(lines)
        self.assertGreater(ran, 8)
        self.assertEqual(used, set(NOT_RUN), "a reason that no page needs")

    def test_every_c_and_cpp_block_compiles(self):
        compiled = 0
        for page in PAGES:
            for language, text in fences(page):
                self.assertIn(language, {"", "sh", "text", PYTHON, *COMPILERS}, f"{page}")
                if language in COMPILERS:
                    command = [*COMPILERS[language], "-Wall", "-Werror", "-fsyntax-only",
                               "-I", ROOT / "runtime/include", "-"]
                    subprocess.run(command, input=text, text=True, check=True)
                    compiled += 1
        self.assertGreater(compiled, 0)


if __name__ == "__main__":
    CLI, STUB = sys.argv[1:3]
    doctor = subprocess.run([CLI, "doctor", "--json"], capture_output=True, text=True, check=False)
    if not json.loads(doctor.stdout)["nvrtc"]["found"]:
        print("skipped: no NVRTC, which the documented builds need")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
