# SPDX-License-Identifier: Apache-2.0
"""What `profile_cells.py` launches: of cells that are named, or of the misses for which the record
proves no reason. Needs neither a GPU nor torch."""

from . import cell_group, evidence, misses, record

OUT_OF_TIME = "out of time"  # the end of such a job's error


def job(entry, shape):
    return {
        "cell": record.cell_id(entry),
        "shape": shape,
        "impl": entry["impl"],
        "pdl": entry["pdl"],
        "rounding": entry["rounding"],
        "in_place": entry["in_place"],
        "threads": entry.get("kernel", {}).get("threads", 0),
        "recorded_us": entry["us"],
    }


def shape(group):
    return group.op, group.dtype, group.hidden, group.rows, group.heads, group.l2


def of_cells(data, cells):
    """For each cell, in the cells' order: ours with PDL off and on, the fastest peers, the
    references. Raises ValueError for a cell that was not measured."""
    # Of two runs of a cell the later.
    groups = {group.name: group for group in evidence.Evidence(data).groups.values()}
    out = []
    for cell in cells:
        if cell not in groups:
            raise ValueError(f"{cell} is not in the results")
        group = groups[cell]
        peers = [e for entries in group.peers().values() for e in entries]
        best = cell_group.faster(peers)
        best_off = cell_group.faster([e for e in peers if not e["pdl"]])
        maths = cell_group.maths(best) if best else None
        entries = [group.ours(False, maths), group.ours(True, maths), best_off]
        entries += [best] if best and best["impl"] != best_off["impl"] else []
        entries += [group.reference(name, False) for name in ("barrier_floor", "floor", "copy")]
        out += [job(entry, shape(group)) for entry in entries if entry is not None]
    return out


def of_misses(data, targets):
    """Ours in the state of each miss without a reason, worst first, and then the fastest peer in
    that state: a run that is cut short has ours."""
    reasons = misses.Reasons(data, targets)
    ours, theirs = [], []
    for miss in misses.unexplained(reasons, targets):
        group = reasons.evidence.group(miss)
        ours.append(job(group.ours(miss.form[0], miss.form[1:]), shape(group)))
        peer = misses.best_peer(group, miss.pdl)
        theirs += [job(peer, shape(group))] if peer else []
    return ours + list({key(peer): peer for peer in theirs}.values())


def key(launch):
    """Of a job or of a profiled kernel. Another rounding or placement is much the same kernel."""
    return launch["cell"], launch["impl"], launch["pdl"]
