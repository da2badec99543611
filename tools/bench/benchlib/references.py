# SPDX-License-Identifier: Apache-2.0
"""The reference kernels of reference.cu, compiled, and copy and empty as implementations; the floors
are in floors.py."""

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor

import torch

from . import cuda
from .checks import Wrong
from .variants import Adapter, Missing, Variant

SOURCE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "reference.cu")


class CopyParams(ctypes.Structure):
    _fields_ = [
        ("x", ctypes.c_void_p),
        ("y", ctypes.c_void_p),
        ("residual", ctypes.c_void_p),
        ("h", ctypes.c_void_p),
        ("packs", ctypes.c_longlong),
        ("token_shift", ctypes.c_int),
        ("x_token_packs", ctypes.c_longlong),
    ]


def packs_of(cell, elements):
    return elements * cell.element_bytes // 16


class Kernels:
    """Compiles reference.cu in its variants, several at a time, and loads them."""

    def __init__(self, options, device):
        path = cuda.find_nvrtc(options.nvrtc)
        if path is None:
            raise Missing("no libnvrtc for the reference kernels: name one with --nvrtc")
        with open(SOURCE, encoding="utf-8") as file:
            self._text = file.read()
        self.nvrtc = cuda.Nvrtc(path)
        self._arch = f"--gpu-architecture=sm_{device.sm}"
        self._pool = ThreadPoolExecutor(options.threads)
        self._images, self._modules = {}, {}
        self.threads = {}  # block sizes of the floors by cell, where one trial is for all variants

    def start(self, *defines):
        if defines not in self._images:
            options = [self._arch, "--std=c++17"] + [f"-D{d}" for d in defines]
            self._images[defines] = self._pool.submit(
                self.nvrtc.compile, self._text, "reference.cu", options
            )

    def function(self, name, *defines):
        self.start(*defines)
        if defines not in self._modules:
            self._modules[defines] = cuda.Module(self._images[defines].result())
        return self._modules[defines].function(name)


class Reference(Adapter):
    is_reference = True

    def load(self):
        if self.options.kernels is None:
            self.options.kernels = Kernels(self.options, self.device)
        self.kernels = self.options.kernels

    def pdl_variants(self):
        return [Variant(False, "")] + ([Variant(True, "")] if self.device.sm >= 90 else [])

    def _launches(self, make, sets):
        launches = [make(i) for i in range(sets.count)]
        stream = self.device.stream_handle()

        def run(index):
            launches[index](stream)

        return run

    def check(self, cell, sets, index):
        """Raises Wrong when the kernel did not move what it says it moves."""


class Copy(Reference):
    name = "copy"

    def bytes(self, cell):
        return cell.copy_bytes

    def variants(self, cell):
        return self.pdl_variants()

    def bind(self, cell, variant, sets):
        packs = -(-cell.elements * cell.element_bytes // 16)
        name = "copy" + ("_strided" if cell.op == "qk" else "") + ("_pdl" if variant.pdl else "")
        function = self.kernels.function(name)
        token_packs = packs_of(cell, cell.heads * cell.hidden)

        def make(i):
            params = CopyParams(
                sets.x[i].data_ptr(),
                sets.y[i].data_ptr(),
                None,
                None,
                packs,
                token_packs.bit_length() - 1,
                packs_of(cell, cell.token_stride),
            )
            pairs = 1
            if sets.residual is not None:
                params.residual, params.h = sets.residual[i].data_ptr(), sets.h[i].data_ptr()
                pairs = 2
            return cuda.Launch(function, (-(-packs // 1024), pairs), 256, params, variant.pdl)

        return self._launches(make, sets)

    def check(self, cell, sets, index):
        same = torch.equal(sets.y[index], sets.x[index])
        if sets.residual is not None:
            same = same and torch.equal(sets.h[index], sets.residual[index])
        if not same:
            raise Wrong("the copy differs from its source")


class Empty(Reference):
    name = "empty"

    def bytes(self, cell):
        return 0

    def variants(self, cell):
        return self.pdl_variants()

    def bind(self, cell, variant, sets):
        function = self.kernels.function("empty_pdl" if variant.pdl else "empty")
        grid = (min(cell.rows * cell.heads, 65535), 1)
        return self._launches(lambda i: cuda.Launch(function, grid, 128, None, variant.pdl), sets)
