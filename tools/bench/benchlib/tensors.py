# SPDX-License-Identifier: Apache-2.0
"""The buffers of a cell: for each launch its own x, weight, residual and outputs (cold), or four
sets in turn (warm). Everybody reads the same inputs and writes the same outputs; implementations
that work in place get one more pair of buffers, which they share. Values are random, never
zeros."""

import torch

from .grid import LARGE_BYTES, WARM_SETS, launches

DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
ALIGN_BYTES = 512  # what an allocator gives: sets lie as far apart as separate tensors would
MEMORY_BYTES = 24 << 30


class TooLarge(Exception):
    pass


def set_count(cell, memory_bytes=MEMORY_BYTES):
    """How many sets of buffers the cell rotates over."""
    if cell.l2 == "warm":
        return WARM_SETS
    with_in_place = cell.set_bytes * (1.6 if cell.op == "fused_add" else 1.0)
    fit = int(memory_bytes // with_in_place)
    if fit < 1:
        raise TooLarge(
            f"one set takes {cell.set_bytes / 2**30:.1f} GiB, "
            f"{memory_bytes / 2**30:.0f} GiB are allowed"
        )
    wanted = launches(cell)
    # A launch that moves more than the L2 holds finds nothing of an earlier one in it.
    return min(wanted, fit) if cell.bytes < LARGE_BYTES else min(wanted, fit, 8)


class TensorSets:
    def __init__(self, cell, device="cuda", sets=None):
        self.cell = cell
        self.count = sets or set_count(cell)
        self.dtype = DTYPES[cell.dtype]
        self._device = device
        shape = (cell.rows, cell.hidden)
        if cell.op == "qk":
            shape = (cell.rows, cell.heads, cell.hidden)
        strides = (cell.token_stride, cell.hidden, 1) if cell.op == "qk" else None
        torch.manual_seed(11)
        self.x = self._role(shape, strides, random=True)
        self.weight = self._role((cell.hidden,), None, random=True)
        for weight in self.weight:
            weight.mul_(0.1).add_(0.0 if cell.op == "gemma" else 1.0)
        self.y = self._role(shape, None)
        self.residual = self.h = self.x_in_place = self.residual_in_place = None
        if cell.op == "fused_add":
            self.residual = self._role(shape, None, random=True)
            self.h = self._role(shape, None)
            self.x_in_place = self._role(shape, None, random=True)
            self.residual_in_place = self._role(shape, None, random=True)

    def _role(self, shape, strides, random=False):
        if strides is None:
            extent, strides = 1, []
            for size in reversed(shape):
                strides.insert(0, extent)
                extent *= size
        else:
            extent = shape[0] * strides[0]
        per_set = -(-extent * self.cell.element_bytes // ALIGN_BYTES) * ALIGN_BYTES
        per_set //= self.cell.element_bytes
        flat = torch.empty(per_set * self.count, dtype=self.dtype, device=self._device)
        if random:
            flat.normal_()
        return [torch.as_strided(flat, shape, strides, i * per_set) for i in range(self.count)]

    def poison(self, index):
        for role in (self.y, self.h):
            if role is not None:
                role[index].fill_(float("nan"))

    def restore_in_place(self, index):
        self.x_in_place[index].copy_(self.x[index])
        self.residual_in_place[index].copy_(self.residual[index])

    def unwritten(self):
        """Names of outputs that still hold a poisoned value."""
        return [
            name
            for name, role in (("y", self.y), ("h", self.h))
            if role is not None
            and bool(torch.stack([torch.isnan(part).any() for part in role]).any())
        ]
