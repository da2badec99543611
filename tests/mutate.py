#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/mutate.py WORK [ID or WORD...]: breaks one place of the library at a time and demands that a test fails.

Each bug of mutations.txt is planted in a copy of the sources under WORK, the programs of the test
that its requirement names are built, and the test is run with that bug alone. Prints a row of a table
for each; exits 1 if a bug survives, does not compile or has no place in the sources any more. Needs a
configured build beside it (build/release): its CMake variables are taken over.
"""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LONGEST_S = 120


def bugs():
    """One bug a paragraph: "ID what is broken", the file, < lines out, > lines in, "tests filter"."""
    for paragraph in (ROOT / "tests/mutations.txt").read_text().split("\n\n"):
        lines = [line for line in paragraph.splitlines() if not line.startswith("#")]
        if not lines:
            continue
        title, path, *change, proof = lines
        key, what = title.split(" ", 1)
        old = "\n".join(line[2:] for line in change if line.startswith("<"))
        new = "\n".join(line[2:] for line in change if line.startswith(">"))
        tests, _, cases = proof.partition(" ")
        yield {"id": key, "what": what, "path": path, "old": old, "new": new,
               "tests": tests.split(":"), "cases": cases}


def refresh(source):
    """Makes the copy equal to the sources; what is equal keeps its time, so nothing is rebuilt."""
    listed = subprocess.check_output(
        ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"], text=True)
    for name in listed.splitlines():
        original, copy = ROOT / name, source / name
        if not original.is_file():
            continue
        if copy.is_file() and copy.read_bytes() == original.read_bytes():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(original.read_bytes())
        copy.chmod(original.stat().st_mode)


def configure(source, build):
    wanted = r"^(RMSJIT_CUDA_INCLUDE_DIR|CMAKE_CXX_COMPILER_LAUNCHER|CMAKE_C_COMPILER_LAUNCHER):\w+=(.+)$"
    cache = ROOT / "build/release/CMakeCache.txt"
    taken = re.findall(wanted, cache.read_text(), re.M) if cache.exists() else []
    # Without warnings: what a bug leaves unused is none of its failures.
    command = ["cmake", "-G", "Ninja", "-S", source, "-B", build, "-DCMAKE_BUILD_TYPE=Release",
               "-DCMAKE_CXX_FLAGS=-w"]
    subprocess.check_call(command + [f"-D{name}={value}" for name, value in taken],
                          stdout=subprocess.DEVNULL)


def targets_of(build, tests):
    """What tests of ctest run: their programs and, where they start others, those too."""
    known = subprocess.check_output(["ninja", "-C", build, "-t", "targets", "all"], text=True)
    names = {line.split(":")[0] for line in known.splitlines()}
    more = {"cli": ["rmsnorm-aot"], "exports": ["rmsjit", "rmsjit_static"],
            "old": ["stub_old_driver"], "empty": ["stub_empty_driver"],
            "bench": ["rmsnorm-bench", "rmsjit-worker", "stub_device_driver"],
            "nvrtc": ["rmsnorm-aot"]}
    found = []
    for test in tests:
        # A second test of a program, told apart by its environment.
        program = re.sub(r"^(sick|old|empty|no)_driver_test$", "driver_test", test)
        found += [program, *more.get(test.split("_")[0], [])]
    return [name for name in found if name in names]


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", **options)


def judge(bug, build):
    """The verdict, and the first case that failed."""
    made = run(["ninja", "-C", build, "-j2", *targets_of(build, bug["tests"])])
    if made.returncode != 0:
        error = re.search(r"error: (.*)", made.stdout)
        return "does not compile", error.group(1) if error else ""
    environment = dict(os.environ)
    if bug["cases"]:
        environment["GTEST_FILTER"] = bug["cases"]
    command = ["ctest", "--timeout", str(LONGEST_S), "--output-on-failure", "-R",
               f"^({'|'.join(bug['tests'])})$"]
    ran = run(command, cwd=build, env=environment)
    if "No tests were found" in ran.stdout:
        return "no such test", " ".join(bug["tests"])
    if ran.returncode == 0:
        skipped = "Skipped" in ran.stdout
        return ("skipped" if skipped else "survived"), ""
    test = re.search(r"\d+ - (\w+) \((?!Skipped)", ran.stdout)
    case = re.search(r"\[  FAILED  \] ([\w./]+)", ran.stdout)
    return "noticed", f"`{test.group(1) if test else '?'}` {case.group(1) if case else ''}".strip()


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print("usage: tests/mutate.py WORK [ID or WORD...]: WORK is a folder for the broken copies",
              file=sys.stderr)
        return 2
    work = pathlib.Path(sys.argv[1]).resolve()
    chosen = set(sys.argv[2:])
    source, build = work, work / "build/release"
    refresh(source)
    configure(source, build)
    survived = 0
    for bug in bugs():
        if chosen and not any(word == bug["id"] or word in bug["what"].split() for word in chosen):
            continue
        path = source / bug["path"]
        original = path.read_text()
        if original.count(bug["old"]) != 1:
            verdict, by = "not in the sources", f"{original.count(bug['old'])} places"
        else:
            path.write_text(original.replace(bug["old"], bug["new"]))
            try:
                verdict, by = judge(bug, build)
            finally:
                path.write_text(original)
        survived += verdict != "noticed"
        by = by if verdict == "noticed" else f"**{verdict}** {by}"
        print(f"| {bug['id']} | {bug['what']} | {by} |", flush=True)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
