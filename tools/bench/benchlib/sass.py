# SPDX-License-Identifier: Apache-2.0
"""The instructions of compiled kernels, by nvdisasm, in the order of their addresses."""

import json
import os
import re
import shutil
import subprocess

NVDISASM = os.environ.get("RMSJIT_TEST_NVDISASM") or shutil.which("nvdisasm")
LOAD, STORE = r"\bLDG?\.", r"\bSTG?\."
WAIT, TRIGGER = r"\bACQBULK\b", r"\bPREEXIT\b"
_WORDS = {"128": 4, "64": 2}


def entries_of(cubin):
    """{entry: [instructions]}"""
    done = subprocess.run([NVDISASM, "-c", str(cubin)], capture_output=True, text=True, check=True)
    entries = {}
    for line in done.stdout.splitlines():
        if name := re.match(r"\.text\.(\w+):", line):
            entries[name[1]] = current = []
        elif code := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(.*?)\s*;", line):
            current.append(code[1])
    return entries


def places(code, pattern):
    return [i for i, instruction in enumerate(code) if re.search(pattern, instruction)]


def first_use_of_a_load(code):
    """Where an instruction first reads what a load of global memory brings."""
    brought = set()
    for i, instruction in enumerate(code):
        load = re.search(LOAD, instruction)
        operands = re.findall(r"\bR(\d+)\b", instruction)
        read = re.findall(r"\bR(\d+)\b", instruction.partition("[")[2]) if load else operands
        if brought.intersection(read):
            return i
        if load:
            opcode = re.search(r"\bLDG?\S*", instruction)[0]
            words = _WORDS.get(opcode.rpartition(".")[2], 1)
            brought.update(str(int(operands[0]) + k) for k in range(words))
    return None


def compiled(aot, folder, arch, specs):
    """Builds the specs with `aot` into a new folder: (item of its JSON, {entry: [instructions]}) of
    each. Raises OSError or CalledProcessError; `aot` says why on stderr."""
    command = [aot, "build", "--arch", arch, "--out", str(folder / "bundle"), "--json"]
    for spec in specs:
        command += ["--spec", spec]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    for item in json.loads(done.stdout)["items"]:
        out = folder / item["digest"]
        extract = [aot, "extract", item["digest"], "--bundle", str(folder / "bundle"), "--out", str(out)]
        subprocess.run(extract, stdout=subprocess.DEVNULL, check=True)
        yield item, entries_of(out / "kernel.cubin")
