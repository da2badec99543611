# SPDX-License-Identifier: Apache-2.0
"""Which cells and implementations a command line asks for: of `bench.py run` and `list`."""

import argparse

from . import cell_group, grid, record

FIELDS = ("op", "dtype", "hidden", "rows", "l2")


def parse_shard(text):
    try:
        index, count = (int(part) for part in text.split("/"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected i/n, given {text!r}") from None
    if not 0 <= index < count:
        raise argparse.ArgumentTypeError(f"expected 0 <= i < n, given {text!r}")
    return index, count


def parse_gib(text):
    try:
        gib = float(text)
    except ValueError:
        gib = 0
    if not gib > 0:
        raise argparse.ArgumentTypeError(f"expected more than 0, given {text!r}")
    return gib


def add_options(parser):
    parser.add_argument("--quick", action="store_true", help="a small grid, about three minutes")
    parser.add_argument(
        "--shard", type=parse_shard, help="i/n: the i-th of n parts, about equally long"
    )
    for name in FIELDS:
        parser.add_argument(f"--{name}", help="only these, separated by commas")
    parser.add_argument(
        "--cells", metavar="FILE", help="only the cells that FILE names, an id each"
    )
    parser.add_argument(
        "--confirm",
        metavar="FILE",
        help="only cells that were slower than a peer in the one run of FILE that measured them",
    )
    parser.add_argument(
        "--max-gib", type=parse_gib, help="leave out cells of which one set of tensors takes more"
    )


def named(option, text, allowed):
    """The values of an option that takes a list. Raises ValueError for one that is not allowed."""
    values = text.split(",")
    for value in values:
        if value not in allowed:
            raise ValueError(f"{option} {value!r} is not one of {', '.join(allowed)}")
    return values


def cells(args):
    """(the cells in the order in which they run, [{cell, reason}] of those that are left out).
    Raises OSError or ValueError."""
    whole = grid.quick_grid() if args.quick else grid.full_grid()
    chosen = whole
    if args.confirm:
        doubtful = cell_group.to_confirm(record.load(args.confirm))
        chosen = [cell for cell in chosen if cell.id in doubtful]
    if args.cells:
        with open(args.cells, encoding="utf-8") as file:
            listed = set(file.read().split())
        unknown = listed - {cell.id for cell in chosen}
        if unknown:
            raise ValueError(f"--cells {args.cells}: {min(unknown)} is not in the grid")
        chosen = [cell for cell in chosen if cell.id in listed]
    for name in FIELDS:
        if getattr(args, name):
            allowed = [str(value) for value in sorted({getattr(cell, name) for cell in whole})]
            wanted = named(f"--{name}", getattr(args, name), allowed)
            chosen = [cell for cell in chosen if str(getattr(cell, name)) in wanted]
    if not chosen and not args.confirm:
        raise ValueError("no cell of the grid is all that the options ask for")
    reasons = {cell: why_not(cell, args.max_gib) for cell in chosen}
    left_out = [{"cell": cell.id, "reason": why} for cell, why in reasons.items() if why]
    chosen = [cell for cell in chosen if not reasons[cell]]
    if args.shard:
        chosen = grid.shard(chosen, *args.shard)
    return grid.ordered(chosen), left_out


def why_not(cell, max_gib):
    """Why the cell is left out, or ""."""
    if max_gib and cell.set_bytes > max_gib * 2**30:
        return f"one set takes {cell.set_bytes / 2**30:.1f} GiB, --max-gib {max_gib:g} was given"
    return grid.too_large(cell)
