# SPDX-License-Identifier: Apache-2.0
"""The files that `profile_cells.py` writes: about the machine as in a results file, `kernels` (a
job of `profile_jobs` with the figures of `ncu`) and `failures` (a job with its error). Read beside
the results that they explain, and a kernel's figures as a line."""

import json
import os
from collections import defaultdict

from . import cell_group, profile_jobs, record

SCHEMA_VERSION = 1


def write(path, head, kernels, failures):
    """JSON with one kernel a line. Replaces the file in one step."""

    def lines(items):
        return "[" + ",".join("\n  " + json.dumps(item) for item in items) + "\n ]"

    fields = {"schema_version": SCHEMA_VERSION, **head}
    parts = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items()]
    parts += [f'"kernels": {lines(kernels)}', f'"failures": {lines(failures)}']
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        file.write("{" + ",\n ".join(parts) + "\n}\n")
    os.replace(path + ".tmp", path)


def load(path):
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    if not isinstance(data, dict) or "kernels" not in data:
        raise ValueError(f"{path} is no file of profile_cells.py: it has no kernels")
    if data.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"{path}: schema_version is {data.get('schema_version')!r}, "
            f"this tool reads {SCHEMA_VERSION}"
        )
    return data


class Profiles:
    """The kernels of profile files that are of these results: the file names a commit of theirs, or
    they hold the kernel's recorded time. Of two profiles of one launch the later file's."""

    def __init__(self, data, paths):
        self._commits = {commit[:7] for commit in data["commit"].split(", ")} - {"", "unknown"}
        self._times = {(record.cell_id(e), e["impl"], e["pdl"], e["us"]) for e in data["cells"]}
        self._launches = defaultdict(dict)  # {cell: {(impl, form): its kernels}}
        self.notes = [self._add(path, load(path)) for path in paths]

    def _add(self, path, profile):
        """Returns a line about the file."""
        same_commit = profile.get("commit", "")[:7] in self._commits
        launches, others = defaultdict(list), 0
        for kernel in profile["kernels"]:
            time = *profile_jobs.key(kernel), kernel["recorded_us"]
            if same_commit or time in self._times:
                name = kernel["impl"], cell_group.form(kernel)
                launches[kernel["cell"], name].append(kernel)
            else:
                others += 1
        for (cell, name), kernels in launches.items():
            self._launches[cell][name] = kernels
        note = f"{os.path.basename(path)}: {len(launches)} launches"
        if profile.get("failures"):
            note += f", {len(profile['failures'])} failed"
        return note + (f"; {others} kernels are of other results and not used" if others else "")

    def has(self, job):
        return any(
            (job["cell"], impl, form[0]) == profile_jobs.key(job)
            for impl, form in self._launches.get(job["cell"], ())
        )

    def of(self, miss):
        """Our kernel of the miss, or None. In another rounding or placement if need be."""
        found = {
            form: kernels[0]
            for (impl, form), kernels in self._launches.get(miss.cell, {}).items()
            if impl == "rmsjit" and form[0] == miss.form[0]
        }
        return found.get(miss.form) or next(iter(found.values()), None)

    def line(self, miss):
        """The figures of the miss's kernel, or "" where it was not profiled."""
        kernel = self.of(miss)
        if kernel is None:
            return ""
        other = ""
        if cell_group.form(kernel) != miss.form:
            other = f" as {kernel['rounding']}" + (" in place" if kernel["in_place"] else "")
        return summary(kernel, self._fastest_peer(miss.cell), other)

    def _fastest_peer(self, cell):
        """Its name and microseconds, or "". What runs as several kernels takes their sum."""
        found = [
            (sum(kernel["us"] or 0 for kernel in kernels), impl + ("+pdl" if form[0] else ""))
            for (impl, form), kernels in self._launches[cell].items()
            if impl not in cell_group.REFERENCES + ("rmsjit",)
        ]
        return "{1} {0:.4g}".format(*min(found)) if found else ""


# Figure of a kernel: how the line says it. A file of an earlier version lacks some.
FIGURES = {
    "dram_pct": "DRAM {:.0f} %",
    "l2_pct": "L2 {:.0f} %",
    "sm_pct": "SM {:.0f} %",
    "l2_hit_pct": "L2 hits {:.0f} %",
    "waves": "{:.3g} waves",
    "occupancy_pct": "occupancy {:.0f} %",
    "registers": "{:.0f} registers",
}


def summary(kernel, peer="", other=""):
    """DRAM, L2 and SM are percent of their peaks; stalls are the warps' most frequent ones."""
    time = "-" if kernel["us"] is None else f"{kernel['us']:.4g} us"
    parts = [f"ncu{other} {time}" + (f" ({peer})" if peer else "")]
    for name, text in FIGURES.items():
        if kernel.get(name) is not None:
            parts.append(text.format(kernel[name]))
    stalls = (f"{name} {share} %" for name, share in kernel.get("stalls_pct", {}).items())
    return ", ".join(parts) + "; stalls " + (", ".join(stalls) or "-")
