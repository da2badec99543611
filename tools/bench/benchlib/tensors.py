# SPDX-License-Identifier: Apache-2.0
"""The buffers of a cell: for each launch its own x, weight, residual and outputs (cold), or four
sets in turn (warm). Everybody reads the same inputs and writes the same outputs; implementations
that work in place get one more pair of buffers, which they share. Values are random, never
zeros."""

import torch

from .grid import LARGE_BYTES, MEMORY_BYTES, WARM_SETS, launches

DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}
ALIGN_BYTES = 512  # what an allocator gives: sets lie as far apart as separate tensors would
FEW_SETS = 8  # of large shapes, whose sets are looked at one by one: less memory for the answer


def set_count(cell):
    """How many sets of buffers the cell rotates over."""
    if cell.l2 == "warm":
        return WARM_SETS
    # At least one: those of which not even one fits are left out of the run (grid.too_large).
    fit = int(MEMORY_BYTES // (cell.set_bytes * cell.in_place_factor))
    wanted = launches(cell)
    # A launch that moves more than the L2 holds finds nothing of an earlier one in it.
    return min(wanted, fit) if cell.bytes < LARGE_BYTES else min(wanted, fit, FEW_SETS)


class Pool:
    """Memory and random values of earlier cells, used again by later ones of the same type."""

    def __init__(self, device="cuda"):
        self.device = device
        self._dtype, self._flat = None, {}

    def clear(self):
        self._flat.clear()

    def take(self, role, dtype, elements, fill):
        """`elements` of the role's memory; `fill` is called on memory that is new."""
        if dtype != self._dtype:
            self.clear()
            self._dtype = dtype
        if role not in self._flat or self._flat[role].numel() < elements:
            self._flat.pop(role, None)  # freed before there is a larger one
            self._flat[role] = torch.empty(elements, dtype=dtype, device=self.device)
            fill(self._flat[role])
        return self._flat[role][:elements]


def fill_nothing(_):
    pass


def fill_random(flat):
    torch.manual_seed(11)
    flat.normal_()


def fill_weight(mean):
    def fill(flat):
        fill_random(flat)
        flat.mul_(0.1).add_(mean)

    return fill


class TensorSets:
    def __init__(self, cell, device="cuda", sets=None, pool=None):
        self.cell = cell
        self.count = sets or set_count(cell)
        self.dtype = DTYPES[cell.dtype]
        self._pool = pool or Pool(device)
        self._outputs = {}
        shape = (cell.rows, cell.hidden)
        if cell.op == "qk":
            shape = (cell.rows, cell.heads, cell.hidden)
        strides = (cell.token_stride, cell.hidden, 1) if cell.op == "qk" else None
        mean = 0.0 if cell.op == "gemma" else 1.0
        self.x = self._role("x", shape, strides, fill_random)
        self.weight = self._role(f"weight{mean}", (cell.hidden,), None, fill_weight(mean))
        self.y = self._role("y", shape, None, fill_nothing)
        self.residual = self.h = self.x_in_place = self.residual_in_place = None
        if cell.op == "fused_add":
            self.residual = self._role("residual", shape, None, fill_random)
            self.h = self._role("h", shape, None, fill_nothing)
            self.x_in_place = self._role("x_in_place", shape, None, fill_nothing)
            self.residual_in_place = self._role("residual_in_place", shape, None, fill_nothing)
            for index in range(self.count):
                self.restore_in_place(index)

    def _role(self, name, shape, strides, fill):
        if strides is None:
            extent, strides = 1, []
            for size in reversed(shape):
                strides.insert(0, extent)
                extent *= size
        else:
            extent = shape[0] * strides[0]
        per_set = -(-extent * self.cell.element_bytes // ALIGN_BYTES) * ALIGN_BYTES
        per_set //= self.cell.element_bytes
        flat = self._pool.take(name, self.dtype, per_set * self.count, fill)
        if name in ("y", "h"):  # without the gaps between the sets, which nobody writes
            self._outputs[name] = flat.view(self.count, per_set)[:, :extent]
        return [torch.as_strided(flat, shape, strides, i * per_set) for i in range(self.count)]

    def poison(self, index=None):
        """One set's outputs, or all."""
        for whole in self._outputs.values():
            (whole if index is None else whole[index]).fill_(float("nan"))

    def restore_in_place(self, index):
        self.x_in_place[index].copy_(self.x[index])
        self.residual_in_place[index].copy_(self.residual[index])

    def unwritten(self):
        """Names of outputs that still hold a poisoned value."""
        return [
            name
            for name, whole in self._outputs.items()
            if any(
                bool(torch.isnan(part).any())
                for part in (whole if self.count <= FEW_SETS else [whole])
            )
        ]
