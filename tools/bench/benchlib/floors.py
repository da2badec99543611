# SPDX-License-Identifier: Apache-2.0
"""floor, barrier_floor and landed_floor of reference.cu as implementations."""

import ctypes

import torch

from . import cuda
from .checks import Wrong
from .references import Reference, packs_of
from .variants import Unsupported, Variant

FLOOR_THREADS = (64, 128, 256, 512, 1024)
MOST_PACKS_A_THREAD = 8
SMALL_ROWS = 128  # up to here the targets ask for the floors


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
        f"PACKS={packs_of(cell, cell.hidden)}",
        f"ADD={int(cell.op == 'fused_add')}",
        f"HEADS={int(cell.op == 'qk')}",
        f"THREADS={threads}",
    )


class Floor(Reference):
    """One entry for each variant: the best of the block sizes, found by a short trial; beyond
    small batches by one trial a cell, without PDL, for both floors: a barrier is nothing there."""

    name = "floor"
    stem = "floor"

    def load(self):
        super().load()
        self._best = {}

    def start(self, cell):
        """Begins to compile what the cell's trial needs."""
        for threads in self.candidates(cell):
            self.kernels.start(*floor_defines(cell, threads))

    def variants(self, cell):
        if cell.heads & (cell.heads - 1):
            raise Unsupported("heads are no power of two")
        if cell.hidden * cell.element_bytes % 16:
            raise Unsupported("rows are not multiples of 16 bytes")
        early = [Variant(True, "", False, True)] if self.device.sm >= 90 else []
        return self.pdl_variants() + early

    def candidates(self, cell):
        return floor_threads(packs_of(cell, cell.hidden))

    def bind_threads(self, cell, variant, sets, threads):
        packs = packs_of(cell, cell.hidden)
        suffix = "_off" if not variant.pdl else "_pdl_early" if variant.constant_weight else "_pdl"
        function = self.kernels.function(self.stem + suffix, *floor_defines(cell, threads))
        lanes = min(threads, 1 << (packs - 1).bit_length())
        rows = cell.rows * cell.heads
        grid = (-(-rows // (threads // lanes)), 1)

        def make(i):
            x, weight, y = (role[i].data_ptr() for role in (sets.x, sets.weight, sets.y))
            params = FloorParams(x, weight, None, None, y, rows, cell.heads.bit_length() - 1)
            params.x_token_packs = packs_of(cell, cell.token_stride)
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


class LandedFloor(Floor):
    """Of small batches of rows that a block has in registers at once, L2-warm: what the targets ask
    about, and the floors do not explain."""

    name = "landed_floor"
    stem = "landed"

    def variants(self, cell):
        found = super().variants(cell)
        if cell.op not in ("rmsnorm", "fused_add") or cell.rows > SMALL_ROWS or cell.l2 != "warm":
            raise Unsupported("for small batches, L2-warm, without heads")
        if not self.candidates(cell):
            raise Unsupported("the row is longer than what a block has in registers")
        return found

    def candidates(self, cell):
        packs = packs_of(cell, cell.hidden)  # of which a thread has kGroup of reference.cu
        most = {t: 4 if t > 512 else MOST_PACKS_A_THREAD for t in super().candidates(cell)}
        return [t for t in most if most[t] * t >= packs]
