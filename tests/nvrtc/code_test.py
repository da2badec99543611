# SPDX-License-Identifier: Apache-2.0
"""The instructions of compiled kernels: what no CPU runs of device.cuh. Nothing is loaded by the
read-only path or lies in local memory, and under PDL the wait comes before every access to global
memory and before the trigger. code_test.py RMSNORM_AOT; RMSJIT_TEST_NVDISASM names nvdisasm."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

AOT = sys.argv.pop(1)
NVDISASM = os.environ.get("RMSJIT_TEST_NVDISASM") or shutil.which("nvdisasm")
CONSTANT = "hidden=4096,residual=add,pdl=on,constant_weight=on"
SPECS = [
    "hidden=4096",
    "hidden=4096,residual=add,y_placement=in_place",
    "hidden=64,layout=heads,x=f16",
    "hidden=3",
    "hidden=2881,residual=add",
    "hidden=4096,x=f32,residual=add",
    "hidden=4096,pdl=on",
    "hidden=1024,residual=add,pdl=on",
    "hidden=128,layout=heads,pdl=on",
    "hidden=5125,residual=add,pdl=on",
    "hidden=65536,pdl=on",
    "hidden=262144,residual=add,pdl=on",
    "hidden=100000,x=f32,residual=add,residual_dtype=f32,pdl=on",
    CONSTANT,
]


def entries_of(cubin):
    """The instructions of each entry, in the order of their addresses."""
    text = subprocess.run([NVDISASM, "-c", str(cubin)], capture_output=True, text=True, check=True).stdout
    entries = {}
    for line in text.splitlines():
        if name := re.match(r"\.text\.(\w+):", line):
            entries[name[1]] = current = []
        elif code := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(.*?)\s*;", line):
            current.append(code[1])
    return entries


def places(code, pattern):
    return [i for i, instruction in enumerate(code) if re.search(pattern, instruction)]


@unittest.skipUnless(NVDISASM, "no nvdisasm")
class Code(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        (cls.folder / "specs").write_text("\n".join(SPECS) + "\n")

    def expect_all_right(self, arch, specs):
        command = [AOT, "build", "--arch", arch, "--out", str(self.folder / arch), "--json"]
        for spec in specs:
            command += ["--spec", spec]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        for item in json.loads(done.stdout)["items"]:
            out = self.folder / f"{arch}-{item['digest'][:16]}"
            extract = [AOT, "extract", item["digest"], "--bundle", str(self.folder / arch), "--out", str(out)]
            subprocess.run(extract, capture_output=True, check=True)
            entries = entries_of(out / "kernel.cubin")
            self.assertGreaterEqual(len(entries), 2)
            for name, code in entries.items():
                with self.subTest(arch=arch, spec=item["spec_text"], entry=name):
                    self.expect_right(item["spec_text"], code)

    def expect_right(self, spec, code):
        loads, stores = places(code, r"\bLDG?\."), places(code, r"\bSTG?\.")
        self.assertTrue(loads and stores)
        self.assertEqual([code[i] for i in loads if "CONSTANT" in code[i]], [], "the read-only path")
        self.assertEqual(places(code, r"\b(LDL|STL)\b"), [], "local memory")
        waits, triggers = places(code, r"\bACQBULK\b"), places(code, r"\bPREEXIT\b")
        if "pdl=on" not in spec:
            self.assertEqual((waits, triggers), ([], []))
            return
        self.assertEqual(len(waits), 1)
        self.assertTrue(triggers)
        self.assertLess(waits[0], min(triggers + stores))
        early = [i for i in loads if i < waits[0]]
        if "constant_weight=on" in spec:
            self.assertLess(0, len(early), "the weight may be loaded before the wait, and is")
            self.assertLess(len(early), len(loads), "x and the residual may not")
        else:
            self.assertEqual([code[i] for i in early], [])

    def test_on_a_target_with_pdl(self):
        self.expect_all_right("sm_90", SPECS)

    def test_on_a_newer_target(self):
        self.expect_all_right("sm_120", SPECS[::2] + [CONSTANT])

    def test_on_a_target_without_pdl(self):
        self.expect_all_right("sm_80", [spec for spec in SPECS if "pdl=on" not in spec])


if __name__ == "__main__":
    unittest.main()
