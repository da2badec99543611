# SPDX-License-Identifier: Apache-2.0
"""What every implementation offers to the benchmark: its variants of a cell, and a launch on a set
of buffers. An adapter raises Missing when it cannot be used at all and Unsupported for a cell."""

from dataclasses import dataclass

EPS = 1e-6  # of every implementation and of the reference
# The names of all adapters, in the order in which they are loaded and checked in each cell.
IMPLEMENTATIONS = (
    "rmsjit", "copy", "empty", "floor", "barrier_floor", "landed_floor", "flashinfer",
    "flashinfer_cuda", "quack", "inductor", "liger", "torch", "te",
)  # fmt: skip


class Missing(Exception):
    """Not installed, or unusable here. The message says why."""


class Unsupported(Exception):
    """The implementation does not do this cell."""


@dataclass(frozen=True)
class Variant:
    pdl: bool = False
    rounding: str = "once"
    in_place: bool = False
    constant_weight: bool = False


class Adapter:
    name = ""
    allocates = False  # its outputs are its own, not the rotating ones
    is_reference = False  # moves bytes only: nothing to check but that it moved them

    def __init__(self, options, device):
        self.options = options
        self.device = device
        self.load()

    def load(self):
        """Imports what the adapter needs; raises Missing."""

    def version(self):
        return ""

    def variants(self, cell):
        """The variants of the cell; raises Unsupported."""
        raise NotImplementedError

    def prepare(self, wanted):
        """Compiles for many pairs of cell and variant, if that is quicker than one by one."""

    def bind(self, cell, variant, sets):
        """A function launch(index) that queues one launch on set `index` on the current stream and
        returns the tensors that must stay alive: (y, h) of an implementation that allocates, else
        None."""
        raise NotImplementedError

    def outputs(self, variant, sets, index, returned):
        """(y, h) of a launch on set `index`."""
        if returned is not None:
            return returned[0], returned[1]
        if variant.in_place:
            return sets.x_in_place[index], sets.residual_in_place[index]
        return sets.y[index], sets.h[index] if sets.h is not None else None

    def bytes(self, cell):
        return cell.bytes

    def kernel_note(self, cell, variant):
        """More about what runs, kept in the entry; or None."""
        return None
