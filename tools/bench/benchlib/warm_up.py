# SPDX-License-Identifier: Apache-2.0
"""The calls that make a peer compile what a run will need of it, before anything is measured."""

from . import cuda
from .grid import Cell, key
from .tensors import TensorSets
from .variants import Unsupported

ROWS = (48, 1, 4)  # Triton compiles again for a size of one and for one that 16 does not divide


def shapes(cells):
    """A few small shapes of each key."""
    for op, dtype, hidden, heads in dict.fromkeys(key(cell) for cell in cells):
        for rows in ROWS:
            yield Cell(op, dtype, hidden, rows, heads)


def name(cell):
    return "compile/" + cell.id


def call(adapter, cell, pool):
    """(errors, whether a variant worked) of one launch of each variant. Raises RuntimeError when
    the context is broken."""
    errors, worked = [], False
    try:
        variants = adapter.variants(cell)
    except Unsupported:
        return errors, worked
    sets = TensorSets(cell, sets=1, pool=pool)
    for variant in variants:
        try:
            adapter.bind(cell, variant, sets)(0)
            worked = True
        except Exception as error:
            errors.append(error)
            cuda.clear_error(adapter.device)
    return errors, worked
