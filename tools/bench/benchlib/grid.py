# SPDX-License-Identifier: Apache-2.0
"""Which cells the benchmark measures, how many bytes each moves, and in which order they run.

A cell is one operation on one shape with a warm or a cold L2. All implementations of a cell, with
and without PDL, run in one process and interleaved, so a cell is never split. For qk, `rows` counts
tokens, `hidden` is the head's width, and the heads lie inside a fused QKV buffer.
"""

from dataclasses import dataclass

HIDDEN = (
    64, 128, 256, 512, 768, 1024, 1536, 2048, 2560, 2880, 2881, 3072, 3584, 4096, 5120, 5125,
    5376, 6144, 7168, 8192, 12288, 16384, 32768, 65536, 131072, 262144,
)
ROWS = (1, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
QK_TOKENS = (1, 16, 128, 1024, 4096, 32768)
QK_HEADS = (8, 32, 64, 128)
QK_HIDDEN = (64, 128, 256)
GEMMA_HIDDEN = (2048, 2560, 3072, 3584, 5376)
GEMMA_ROWS = (1, 16, 128, 1024, 8192)
# Most asked-for first: a run that is cut short has measured these.
HIDDEN_BY_WEIGHT = (
    4096, 7168, 5120, 2048, 8192, 2880, 1024, 16384, 6144, 3072, 1536, 768, 128, 256, 64, 12288,
    2881, 5376, 512, 2560, 3584, 5125, 32768, 65536, 131072, 262144,
)

ELEMENT_BYTES = {"bf16": 2, "f16": 2, "f32": 4}
TENSORS = {"rmsnorm": 2, "qk": 2, "gemma": 2, "fused_add": 4}  # read or written once a launch
WARM_SETS = 4
# Four sets beyond this do not stay in an H100's 50 MB of L2; such a shape is only measured cold.
WARM_LIMIT_BYTES = 40 << 20
LARGE_BYTES = 128_000_000
LEAST_LAUNCHES = 2
MEMORY_BYTES = 24 << 30  # of all buffers of a cell
SHORT_BYTES = 2 << 30  # a graph that moves less is replayed more often


@dataclass(frozen=True, order=True)
class Cell:
    op: str
    dtype: str
    hidden: int
    rows: int
    heads: int = 1
    l2: str = "warm"

    @property
    def id(self):
        return f"{self.op}/{self.dtype}/h{self.hidden}/r{self.rows}/n{self.heads}/{self.l2}"

    @property
    def element_bytes(self):
        return ELEMENT_BYTES[self.dtype]

    @property
    def elements(self):
        return self.rows * self.heads * self.hidden

    @property
    def bytes(self):
        """The fewest bytes that a launch can move: each input read once, each output written
        once."""
        return (TENSORS[self.op] * self.elements + self.hidden) * self.element_bytes

    @property
    def copy_bytes(self):
        return TENSORS[self.op] * self.elements * self.element_bytes

    @property
    def token_stride(self):
        """Elements from one token to the next; a fused QKV buffer has two more groups of heads."""
        if self.op != "qk":
            return self.hidden
        return (self.heads + 2 * max(1, self.heads // 8)) * self.hidden

    @property
    def set_bytes(self):
        extra = self.rows * self.token_stride - self.elements
        return self.bytes + extra * self.element_bytes

    @property
    def in_place_factor(self):
        """What the buffers of those that work in place add to a set."""
        return 1.6 if self.op == "fused_add" else 1.0

    def warm_fits(self):
        return WARM_SETS * self.set_bytes <= WARM_LIMIT_BYTES


def too_large(cell):
    """Why not even one set of the cell's buffers is allowed, or ""."""
    whole = cell.set_bytes * cell.in_place_factor
    if whole <= MEMORY_BYTES:
        return ""
    factor = f" x {cell.in_place_factor:g} (in place as well)" if cell.in_place_factor > 1 else ""
    return (
        f"one set takes {cell.set_bytes / 2**30:.1f} GiB{factor}, "
        f"{MEMORY_BYTES / 2**30:.0f} GiB are allowed"
    )


def _temperatures(shapes):
    for op, dtype, hidden, rows, heads in shapes:
        for l2 in ("warm", "cold"):
            cell = Cell(op, dtype, hidden, rows, heads, l2)
            if l2 == "cold" or cell.warm_fits():
                yield cell


def full_grid():
    shapes = []
    for hidden in HIDDEN:
        for rows in ROWS:
            shapes += [(op, "bf16", hidden, rows, 1) for op in ("rmsnorm", "fused_add")]
    for index, hidden in enumerate(HIDDEN):
        for dtype in ("f16", "f32"):
            for op in ("rmsnorm", "fused_add"):
                shapes.append((op, dtype, hidden, ROWS[index % len(ROWS)], 1))
    shapes += [
        ("qk", "bf16", hidden, rows, heads)
        for hidden in QK_HIDDEN
        for heads in QK_HEADS
        for rows in QK_TOKENS
    ]
    shapes += [("gemma", "bf16", hidden, rows, 1) for hidden in GEMMA_HIDDEN for rows in GEMMA_ROWS]
    return list(_temperatures(shapes))


def quick_grid():
    """A first look in about three minutes: few sizes, so that few kernels are compiled."""
    shapes = [
        (op, "bf16", hidden, rows, 1)
        for hidden in (4096, 7168, 1024)
        for rows in (1, 16, 128)
        for op in ("rmsnorm", "fused_add")
    ]
    cells = [cell for cell in _temperatures(shapes) if cell.l2 == "warm"]
    cells += [
        Cell("rmsnorm", "bf16", 4096, 1, 1, "cold"),
        Cell("fused_add", "bf16", 4096, 16, 1, "cold"),
    ]
    for hidden, rows in ((4096, 16384), (7168, 8192), (1024, 32768)):
        cells += [Cell(op, "bf16", hidden, rows, 1, "cold") for op in ("rmsnorm", "fused_add")]
    cells += [Cell("qk", "bf16", 128, 16, 32, "warm"), Cell("qk", "bf16", 128, 4096, 32, "cold")]
    cells += [Cell("gemma", "bf16", 4096, 16, 1, "warm")]
    return cells


def tier(cell):
    if cell.dtype == "bf16" and cell.op in ("rmsnorm", "fused_add"):
        if cell.rows <= 128 and cell.l2 == "warm":
            return 0
        if cell.bytes >= LARGE_BYTES:
            return 1
        return 4 if cell.rows <= 128 else 5
    return {"qk": 2, "gemma": 3}.get(cell.op, 5)


def _rank(cell):
    weight = (
        HIDDEN_BY_WEIGHT.index(cell.hidden)
        if cell.hidden in HIDDEN_BY_WEIGHT
        else len(HIDDEN_BY_WEIGHT)
    )
    which = tier(cell)
    if which == 1:  # every size at its smallest large shape before any size at a larger one
        return (which, (cell.bytes // LARGE_BYTES).bit_length(), weight, cell)
    if which == 2:
        return (which, QK_HIDDEN.index(cell.hidden) if cell.hidden != 128 else -1, cell.heads, cell)
    return (which, 0, weight, cell)


def ordered(cells):
    return sorted(cells, key=_rank)


# Entries of a cell, and seconds that the host takes for one and to compile one width's peers.
ENTRIES = {"rmsnorm": 23, "fused_add": 27, "qk": 20, "gemma": 20}
ENTRY_SECONDS = 0.006
KEY_SECONDS = 0.6
ROUNDS, LONG_ROUNDS = 13, 8


def expected_seconds(cell):
    """What measuring the cell takes, about: only good for dividing the work."""
    replay = launches(cell) * launch_us(cell) + (140 if cell.l2 == "cold" else 60)
    rounds = ROUNDS if cell.bytes * launches(cell) < SHORT_BYTES else LONG_ROUNDS
    return ENTRIES[cell.op] * (rounds * replay / 1e6 + ENTRY_SECONDS)


def key(cell):
    """Cells of one key share every implementation's compiled kernels."""
    return cell.op, cell.dtype, cell.hidden, cell.heads


def divided(cells, count, cost):
    """`count` lists of cells, no key in two of them, about equal in the sum of the keys' costs;
    `cost` is called with a key's cells."""
    keys = {}
    for cell in cells:
        keys.setdefault(key(cell), []).append(cell)
    parts, costs = [[] for _ in range(count)], [0.0] * count
    for mine in sorted(keys.values(), key=lambda mine: (-cost(mine), mine[0])):
        least = costs.index(min(costs))
        parts[least] += mine
        costs[least] += cost(mine)
    return parts


def shard(cells, index, count):
    def cost(mine):
        return KEY_SECONDS + sum(expected_seconds(cell) for cell in mine)

    return divided(cells, count, cost)[index]


def launch_us(cell):
    return 1.2 + cell.bytes / 2.4e6


def launches(cell):
    """Launches in one graph: enough that its own start does not count, few enough to be quick."""
    target_us = 250.0 if cell.bytes < 16 << 20 else 600.0 if cell.bytes < LARGE_BYTES else 1500.0
    count = max(LEAST_LAUNCHES, min(512, int(target_us / launch_us(cell))))
    return count if cell.l2 == "cold" else max(WARM_SETS, count // WARM_SETS * WARM_SETS)
