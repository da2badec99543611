# SPDX-License-Identifier: Apache-2.0
"""The targets for an H100 in bf16, over {(cell key, run): entries}."""

from collections import defaultdict

from .cell_group import CONFIRMED, SLOWER, Group, faster, form, maths, pairs, slower_cells
from .target import Figure, Miss, Target, at_least, at_most_us

UNALIGNED = (2881, 5125)
NEVER = 1.05


def speedups(groups, op, pdl, choose, keep):
    out = []
    for group in groups:
        if not group.decode or group.op != op or not keep(group):
            continue
        candidates = [
            e
            for impl, entries in group.peers().items()
            if choose(impl)
            for e in entries
            if e["pdl"] == pdl
        ]
        figures = [
            Figure(e["us"] / ours["us"], group.name, ours["us"], pdl, form(ours), group.run)
            for e in candidates
            if (ours := group.ours(pdl, maths(e))) is not None
        ]
        if figures:
            out.append(min(figures))  # the peer that comes closest to us
    return out


def decode_targets(groups):
    def everywhere(_):
        return True

    def with_pdl(impl):
        return impl in ("flashinfer", "flashinfer_cuda")

    out = []
    for op, wanted in (("rmsnorm", 1.5), ("fused_add", 1.4)):
        out.append(
            at_least(
                f"{op}, warm, rows <= 128, PDL: FlashInfer's CUDA kernels",
                speedups(groups, op, True, lambda i: i == "flashinfer_cuda", everywhere),
                wanted,
            )
        )
        out.append(
            at_least(
                f"{op}, warm, rows <= 128, PDL: best peer that has it",
                speedups(groups, op, True, with_pdl, everywhere),
                1.3,
            )
        )
        for text, wanted_off, keep in (
            ("hidden 4096..16384", 1.2, lambda g: 4096 <= g.hidden <= 16384),
            ("hidden < 4096", 1.05, lambda g: g.hidden < 4096),
        ):
            out.append(
                at_least(
                    f"{op}, warm, rows <= 128, PDL off, {text}: best peer",
                    speedups(groups, op, False, lambda _: True, keep),
                    wanted_off,
                )
            )
    return out


def floor_targets(groups):
    out = []
    for pdl in (False, True):
        text = "PDL on" if pdl else "PDL off"
        gaps = defaultdict(list)
        for group in groups:
            ours = group.ours(pdl)
            if not group.decode or group.hidden > 16384 or ours is None:
                continue
            for impl in ("barrier_floor", "floor"):
                floor = group.reference(impl, pdl)
                if floor is None:
                    continue
                wanted = 0.25
                if impl == "floor":
                    wanted = 0.30 if group.hidden <= 4096 else 0.60
                    wanted = 0.80 if (group.hidden, group.rows) == (16384, 128) else wanted
                gap = ours["us"] - floor["us"]
                rounds = ours["rounds"], floor["rounds"]
                figure = Figure(gap, group.name, ours["us"], pdl, form(ours), group.run, rounds)
                gaps[impl, wanted].append(figure)
        for impl, wanted in (
            ("barrier_floor", 0.25),
            ("floor", 0.30),
            ("floor", 0.60),
            ("floor", 0.80),
        ):
            out.append(at_most_us(f"decode to {impl}, {text}", gaps[impl, wanted], wanted))
    return out


def against_copy(group):
    """Our bandwidth over the copy's, each at its better of PDL off and on; or None."""
    ours = faster([group.ours(False), group.ours(True)])
    copy = faster([group.reference("copy", False), group.reference("copy", True)])
    if ours is None or copy is None:
        return None
    ratio = copy["us"] / ours["us"]
    if group.op != "qk":  # there the copy moves the bytes of x and y: the weight's are no credit
        ratio *= ours["bytes"] / copy["bytes"]
    rounds = ours["rounds"], copy["rounds"]
    return Figure(ratio, group.name, ours["us"], None, form(ours), group.run, rounds)


def large_targets(groups):
    classes = {"rmsnorm": [], "fused_add": [], "unaligned": [], "long": []}
    for group in groups:
        figure = against_copy(group) if group.large else None
        if figure is None:
            continue
        which = (
            "unaligned"
            if group.hidden in UNALIGNED
            else "long" if group.hidden >= 32768 else group.op
        )
        classes[which].append(figure)
    rows = (
        ("rmsnorm", ">= 128 MB, plain, of copy", 1.00),
        ("fused_add", ">= 128 MB, fused add, of copy", 0.99),
        ("unaligned", ">= 128 MB, hidden 2881 and 5125, of copy", 0.85),
        ("long", ">= 128 MB, hidden >= 32768, of copy", 0.97),
    )
    return [
        at_least(f"{text} (each cell)", classes[name], wanted, min) for name, text, wanted in rows
    ]


def qk_targets(groups):
    strided = [figure for group in groups if group.op == "qk" and (figure := against_copy(group))]
    seed = []
    for group in groups:
        if (group.op, group.hidden, group.rows, group.dtype) == ("rmsnorm", 128, 32768, "bf16"):
            theirs = faster(group.peers().get("flashinfer_cuda", []))
            ours = theirs and faster(
                [group.ours(False, maths(theirs)), group.ours(True, maths(theirs))]
            )
            if ours:
                ratio = theirs["us"] / ours["us"]
                seed.append(Figure(ratio, group.name, ours["us"], None, form(ours), group.run))
    return [
        at_least("query/key strided, of the strided copy (each cell)", strided, 1.00, min),
        at_least("32768 x 128: FlashInfer's norm::RMSNorm", seed, 5.0, min),
    ]


def never_slower(groups, slower, name, most, keep):
    """A second run has to agree before a cell counts; without it the target is open."""
    wanted = f"<= {100 * most:.0f} % of cells, none > {NEVER:.2f}" if most else "none"
    names = {group.name for group in groups if keep(group.hidden) and next(pairs(group), None)}
    if not names:
        return Target(name, wanted, "-", "", "no data")
    slower = [item for item in slower if item["cell"] in names]

    def within(items):
        cells = {item["cell"] for item in items}
        return len(cells) <= most * len(names) and all(i["ratio"] <= NEVER for i in items)

    sure = [item for item in slower if item["status"] == CONFIRMED]
    cells = {item["cell"] for item in sure}
    more = {item["cell"] for item in slower} - cells
    worst = (sure or slower or [None])[0]
    return Target(
        name,
        wanted,
        f"{100 * len(cells) / len(names):.1f} %, {len(cells)} of {len(names)}"
        + (f", {len(more)} to confirm" if more else ""),
        f"{worst['ratio']:.3f} {worst['cell']} {worst['what']}" if worst else "",
        "FAIL" if not within(sure) else "pass" if within(slower) else "open",
        misses=[] if within(slower) else [missed_peer(item) for item in slower],
    )


def missed_peer(item):
    pdl = None if item["what"].endswith("best") else False
    limit_us = SLOWER * item["theirs_us"]
    return Miss(item["cell"], item["ours_us"], limit_us, pdl, item["form"], item["run"])


def all_targets(raw, constant_weight=False):
    groups = [Group(key, entries, constant_weight) for (key, _), entries in sorted(raw.items())]
    slower = slower_cells(raw, constant_weight)
    return (
        [
            never_slower(groups, slower, "never slower than a peer", 0.01, lambda _: True),
            never_slower(
                groups, slower, "hidden 2881 and 5125: never slower", 0, lambda h: h in UNALIGNED
            ),
        ]
        + decode_targets(groups)
        + floor_targets(groups)
        + large_targets(groups)
        + qk_targets(groups)
    )
