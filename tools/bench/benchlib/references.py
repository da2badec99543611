# SPDX-License-Identifier: Apache-2.0
"""The reference kernels of reference.cu as implementations: copy, empty, floor and
barrier_floor."""

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor

import torch

from . import cuda
from .checks import Wrong
from .variants import Adapter, Missing, Unsupported, Variant

SOURCE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "reference.cu")
FLOOR_THREADS = (64, 128, 256, 512, 1024)
MOST_PACKS_A_THREAD = 8
SMALL_ROWS = 128  # up to here the targets ask for the floors


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


class FloorParams(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("x", "weight", "residual", "h", "y")]
    _fields_ += [
        ("rows", ctypes.c_longlong),
        ("heads_shift", ctypes.c_int),
        ("x_token_packs", ctypes.c_longlong),
    ]


def floor_threads(packs):
    """The block sizes worth trying for a row of `packs` 16-byte packs: of short rows several are in
    a block."""
    out = [
        t for t in FLOOR_THREADS if t * MOST_PACKS_A_THREAD >= packs and (t < 2 * packs or t <= 256)
    ]
    return out or [FLOOR_THREADS[-1]]


def floor_defines(cell, threads):
    return (
        f"PACKS={cell.hidden * cell.element_bytes // 16}",
        f"ADD={int(cell.op == 'fused_add')}",
        f"HEADS={int(cell.op == 'qk')}",
        f"THREADS={threads}",
    )


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

    def start_floors(self, cell):
        packs = cell.hidden * cell.element_bytes // 16
        for threads in floor_threads(packs):
            self.start(*floor_defines(cell, threads))

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
        token_packs = cell.heads * cell.hidden * cell.element_bytes // 16

        def make(i):
            params = CopyParams(
                sets.x[i].data_ptr(),
                sets.y[i].data_ptr(),
                None,
                None,
                packs,
                token_packs.bit_length() - 1,
                cell.token_stride * cell.element_bytes // 16,
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


class Floor(Reference):
    """One entry for each variant: the best of the block sizes, found by a short trial; beyond
    small batches by one trial a cell, without PDL, for both floors: a barrier is nothing there."""

    name = "floor"
    stem = "floor"

    def load(self):
        super().load()
        self._best = {}

    def variants(self, cell):
        if cell.heads & (cell.heads - 1):
            raise Unsupported("heads are no power of two")
        if cell.hidden * cell.element_bytes % 16:
            raise Unsupported("rows are not multiples of 16 bytes")
        early = [Variant(True, "", False, True)] if self.device.sm >= 90 else []
        return self.pdl_variants() + early

    def candidates(self, cell):
        return floor_threads(cell.hidden * cell.element_bytes // 16)

    def bind_threads(self, cell, variant, sets, threads):
        packs = cell.hidden * cell.element_bytes // 16
        suffix = "_off" if not variant.pdl else "_pdl_early" if variant.constant_weight else "_pdl"
        function = self.kernels.function(self.stem + suffix, *floor_defines(cell, threads))
        lanes = min(threads, 1 << (packs - 1).bit_length())
        rows = cell.rows * cell.heads
        grid = (-(-rows // (threads // lanes)), 1)

        def make(i):
            x, weight, y = (role[i].data_ptr() for role in (sets.x, sets.weight, sets.y))
            params = FloorParams(x, weight, None, None, y, rows, cell.heads.bit_length() - 1)
            params.x_token_packs = cell.token_stride * cell.element_bytes // 16
            if sets.residual is not None:
                params.residual, params.h = sets.residual[i].data_ptr(), sets.h[i].data_ptr()
            return cuda.Launch(function, grid, threads, params, variant.pdl)

        return self._launches(make, sets)

    def bind(self, cell, variant, sets):
        if cell.rows * cell.heads <= SMALL_ROWS:
            best = self._best_threads(cell, variant, sets)
        else:
            if cell not in self.kernels.threads:
                self.kernels.threads[cell] = self._best_threads(cell, Variant(False, ""), sets)
            best = self.kernels.threads[cell]
        self._best[cell, variant] = best
        return self.bind_threads(cell, variant, sets, best)

    def _best_threads(self, cell, variant, sets):
        candidates = self.candidates(cell)
        if len(candidates) == 1:
            return candidates[0]
        return min(candidates, key=lambda t: self._trial_us(cell, variant, sets, t))

    def _trial_us(self, cell, variant, sets, threads):
        launch = self.bind_threads(cell, variant, sets, threads)
        count = 4 if cell.bytes > 16 << 20 else 32
        with self.device.on_stream():
            graph = self.device.capture(lambda i: launch(i % sets.count), count)
            events = self.device.events(8)
            for i in range(4):
                self.device.replay(graph, False, events[2 * i], events[2 * i + 1])
            self.device.synchronize()
        return min(events[2 * i].elapsed_time(events[2 * i + 1]) for i in range(1, 4))

    def kernel_note(self, cell, variant):
        return {"threads": self._best[cell, variant]}

    def check(self, cell, sets, index):
        integer = torch.int32 if cell.element_bytes == 4 else torch.int16
        bits = sets.x[index].view(integer)
        if sets.residual is not None:
            bits = bits ^ sets.residual[index].view(integer)
            if not torch.equal(sets.h[index].view(integer), bits):
                raise Wrong("h is not what the floor kernel writes")
        if not torch.equal(sets.y[index].view(integer), bits ^ sets.weight[index].view(integer)):
            raise Wrong("y is not what the floor kernel writes")


class BarrierFloor(Floor):
    name = "barrier_floor"
    stem = "barrier"
