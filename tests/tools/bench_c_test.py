# SPDX-License-Identifier: Apache-2.0
"""tools/bench's view of the C ABI: the struct of a kernel's facts, which grows at its end."""

import ctypes
import pathlib
import re
import types
import unittest

import bench_results
from benchlib import rmsjit_c

HEADER = pathlib.Path(bench_results.ROOT, "runtime/include/rmsjit/rmsjit_c.h")
PLAN = "threads=128,rows=1,few=1(threads=64),many=7(threads=256)"


class OldInfo(ctypes.Structure):
    _fields_ = rmsjit_c.KernelInfo._fields_[:-1]


def library(known):
    """One that fills what it knows of the caller's struct and zeroes the rest, as fill_any_version
    in runtime/c_structs.cc does."""

    def kernel_info_get(_, info, error):
        info = info._obj
        filled = known(0, b"hidden=64", b"", b"sm_90", b"cache", 0, 16, 8, 32, 0, 0)
        if known is rmsjit_c.KernelInfo:
            filled.plan = PLAN.encode()
        shared = min(info.struct_size, ctypes.sizeof(known)) - 8
        ctypes.memset(ctypes.addressof(info) + 8, 0, info.struct_size - 8)
        ctypes.memmove(ctypes.addressof(info) + 8, ctypes.addressof(filled) + 8, shared)
        return 0

    c = types.SimpleNamespace(rmsjit_kernel_info_get=kernel_info_get)
    return types.SimpleNamespace(c=c, check=rmsjit_c.Library.check)


class KernelInfo(unittest.TestCase):
    def info(self, known):
        runtime = rmsjit_c.Runtime.__new__(rmsjit_c.Runtime)
        runtime._library = library(known)
        return runtime.info(None)

    def test_the_whole_plan_is_told_by_a_library_that_knows_it(self):
        self.assertEqual(self.info(rmsjit_c.KernelInfo)["plan"], PLAN)

    def test_a_library_whose_struct_ends_before_it_leaves_it_out(self):
        info = self.info(OldInfo)
        self.assertNotIn("plan", info)
        self.assertEqual((info["threads_per_row"], info["origin"]), (16, "cache"))

    def test_the_fields_are_those_of_the_header_in_its_order(self):
        text = HEADER.read_text(encoding="utf-8")
        struct = re.search(r"typedef struct rmsjit_kernel_info \{(.*?)\}", text, re.S)[1]
        named = re.findall(r"(\w+);", re.sub(r"/\*.*?\*/", "", struct, flags=re.S))
        ours = [name for name, _ in rmsjit_c.KernelInfo._fields_]
        self.assertEqual(ours, named)


if __name__ == "__main__":
    unittest.main()
