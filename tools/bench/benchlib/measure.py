# SPDX-License-Identifier: Apache-2.0
"""One cell: every implementation is checked, captured into a graph, and all graphs are replayed in
turn, round after round. A failing implementation is recorded and left out; the cell goes on."""

import random
from collections import deque
from dataclasses import dataclass
from typing import Any

from . import checks, cuda, stats
from .grid import SHORT_BYTES, launches
from .phases import Phases
from .tensors import TensorSets
from .variants import Unsupported, Variant


class DeviceLost(Exception):
    """The context is broken; only a new process can go on."""


@dataclass
class Timed:
    adapter: Any
    variant: Variant
    graph: Any
    kernels: float
    alive: deque
    begin: Any
    end: Any
    rounds: list


class CellRun:
    def __init__(self, device, adapters, record, options, now, pool=None, phases=None):
        self.device, self.adapters, self.record, self.options = device, adapters, record, options
        self._now = (
            now  # called with (cell, implementation) before anything that may kill the process
        )
        self._pool, self._phase = pool, phases or Phases()

    def run(self, cell):
        """The cell's entries, not yet with ratios. Raises OutOfMemoryError for its buffers,
        or DeviceLost."""
        timed = []
        with self.device.on_stream():
            with self._phase("fill"):
                sets = TensorSets(cell, self.device.kind, pool=self._pool)
            for adapter in self.adapters:
                timed += self._prepare_adapter(cell, adapter, sets)
            self._now(cell.id, "timing")
            with self._phase("measure"):
                self._time(cell, timed)
        return [self._entry(cell, item) for item in timed]

    def _prepare_adapter(self, cell, adapter, sets):
        self._now(cell.id, adapter.name)
        try:
            variants = adapter.variants(cell)
        except Unsupported as error:
            self.record.add_unsupported(adapter.name, error)
            return []
        out = []
        for variant in variants:
            try:
                out.append(self._prepare(cell, adapter, variant, sets))
            except Exception as error:
                self.record.add_failure(
                    cell.id,
                    adapter.name,
                    f"{type(error).__name__}: {error}",
                    pdl=variant.pdl,
                    rounding=variant.rounding,
                )
                self._clear_error()
        return out

    def _clear_error(self):
        """So that what this implementation left behind does not fail the next one."""
        try:
            cuda.clear_error(self.device)
        except RuntimeError as error:
            raise DeviceLost(str(error)) from error

    def _prepare(self, cell, adapter, variant, sets):
        with self._phase("bind"):
            launch = adapter.bind(cell, variant, sets)
        with self._phase("check"):
            self._check(cell, adapter, variant, sets, launch)
        count = launches(cell)
        # Where a peer allocates, its outputs stay referenced: as many at a time as there are sets.
        alive = deque(
            maxlen=max(1, sets.count - 1) if cell.l2 == "warm" or sets.count < count else None
        )

        def work(i):
            returned = launch(i % sets.count)
            if returned is not None:
                alive.append(returned)

        with self._phase("capture"):
            graph = self.device.capture(work, count)
        with self._phase("check"):
            self._check_replay(adapter, variant, sets, graph, count)
        begin, end = self.device.events(2)
        return Timed(adapter, variant, graph, graph.nodes / count, alive, begin, end, [])

    def _check(self, cell, adapter, variant, sets, launch):
        """One launch on poisoned outputs against the reference."""
        sets.poison(0)
        if variant.in_place:
            sets.restore_in_place(0)
        returned = launch(0)
        self.device.synchronize()
        if adapter.is_reference:
            adapter.check(cell, sets, 0)
        else:
            outputs = adapter.outputs(variant, sets, 0, returned)
            checks.check_output(cell, variant, sets, 0, outputs)

    def _check_replay(self, adapter, variant, sets, graph, count):
        """The graph itself writes every element of every rotating output."""
        if adapter.allocates or adapter.is_reference or variant.in_place or sets.count > count:
            return
        sets.poison()
        graph.replay()
        self.device.synchronize()
        unwritten = sets.unwritten()
        if unwritten:
            raise checks.Wrong(f"the captured graph leaves {' and '.join(unwritten)} unwritten")

    def _time(self, cell, timed):
        cold = cell.l2 == "cold"
        order = list(range(len(timed)))
        draw = random.Random(3)
        rounds, untimed = self.options.rounds, 1
        if cell.bytes * launches(cell) < SHORT_BYTES:
            rounds, untimed = max(rounds, self.options.small_rounds), 2
        for index in range(rounds + untimed):
            draw.shuffle(order)
            for k in order:
                self.device.replay(timed[k].graph, cold, timed[k].begin, timed[k].end, index > 0)
            self.device.synchronize()
            for item in timed if index >= untimed else []:
                us = 1e3 * item.begin.elapsed_time(item.end) / launches(cell)
                item.rounds.append(round(us, 4))

    def _entry(self, cell, item):
        variant, adapter = item.variant, item.adapter
        entry = {
            "op": cell.op,
            "dtype": cell.dtype,
            "hidden": cell.hidden,
            "rows": cell.rows,
            "heads": cell.heads,
            "l2": cell.l2,
            "pdl": variant.pdl,
            "impl": adapter.name,
            "run": self.options.run,
            "us": round(stats.median(item.rounds), 4),
            "us_min": min(item.rounds),
            "us_max": max(item.rounds),
            "bytes": adapter.bytes(cell),
            "rounding": variant.rounding,
            "in_place": variant.in_place,
            "constant_weight": variant.constant_weight,
            "launches": launches(cell),
            "kernels": round(item.kernels, 2),
            "rounds": item.rounds,
        }
        try:
            note = adapter.kernel_note(cell, variant)
        except Exception as error:  # a note is no reason to lose a measurement
            note = {"error": str(error)}
        if note:
            entry["kernel"] = note
        return entry
