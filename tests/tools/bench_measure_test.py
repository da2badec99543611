# SPDX-License-Identifier: Apache-2.0
"""The benchmark's measuring loop on a made-up device: graphs are lists of calls and the tensors are
torch's on the CPU. Skipped where python has no torch."""

import contextlib
import os
import sys
import time
import types
import unittest
from unittest import mock

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools", "bench"))
try:
    import torch
except ImportError:
    torch = None
else:
    from benchlib import (
        checks, flashinfer_peers, floors, grid, measure, ours, peers, ratios, record, references, tensors,
        warm_up,
    )  # fmt: skip
    from benchlib.variants import IMPLEMENTATIONS, Adapter, Variant

if torch is not None:
    torch.set_num_threads(1)

    class Event:
        def record(self, _):
            self.at = time.perf_counter()

        def elapsed_time(self, other):
            return 1e3 * (other.at - self.at)

    class Graph:
        def __init__(self, work, count):
            self._work, self._count, self.nodes = work, count, count

        def replay(self):
            for i in range(self._count):
                self._work(i)

    class Device:
        kind, sm, index, stream = "cpu", 90, 0, None

        def on_stream(self):
            return contextlib.nullcontext()

        def events(self, count):
            return [Event() for _ in range(count)]

        def synchronize(self):
            pass

        def touch(self):
            pass

        def capture(self, work, count):
            return Graph(work, count)

        def replay(self, graph, _cold, begin, end, _learn=False):
            begin.record(None)
            graph.replay()
            end.record(None)

    class Formula(Adapter):
        """rmsjit's variants, computed with the reference."""

        name = "rmsjit"

        def variants(self, cell):
            return ours.all_variants(cell, 90)

        def bind(self, cell, variant, sets):
            def run(i):
                x, residual = sets.x[i], sets.residual and sets.residual[i]
                if variant.in_place:
                    x, residual = sets.x_in_place[i], sets.residual_in_place[i]
                h, y = checks.reference(cell, variant.rounding, x, sets.weight[i], residual)
                (x if variant.in_place else sets.y[i]).copy_(y)
                if h is not None:
                    (residual if variant.in_place else sets.h[i]).copy_(h)

            return run

    class Broken(peers.Torch):
        name = "broken"

        def bind(self, cell, variant, sets):
            raise RuntimeError("does not build")

    class OffByTwoPercent(peers.Torch):
        name = "off"

        def bind(self, cell, variant, sets):
            right = super().bind(cell, variant, sets)

            def run(i):
                y, h = right(i)
                return 1.02 * y, h

            return run

    class WritesNothing(Adapter):
        name = "idle"

        def variants(self, cell):
            return [Variant()]

        def bind(self, cell, variant, sets):
            return lambda i: None

    class WritesOnlyTheFirstSet(Formula):
        name = "lazy"

        def variants(self, cell):
            return [Variant()]

        def bind(self, cell, variant, sets):
            right = super().bind(cell, variant, sets)
            return lambda i: right(0)


@unittest.skipIf(torch is None, "python has no torch")
class Measure(unittest.TestCase):
    def run_cell(self, cell, *adapters):
        options = types.SimpleNamespace(rounds=2, small_rounds=2, run="r")
        results = record.Record(os.devnull)
        device, previous = Device(), (measure.launches, tensors.launches)
        measure.launches = tensors.launches = lambda _: 4
        try:
            run = measure.CellRun(
                device,
                [kind(options, device) for kind in adapters],
                results,
                options,
                lambda *_: None,
            )
            return run.run(cell), {f["impl"]: f["error"] for f in results.data["failures"]}
        finally:
            measure.launches, tensors.launches = previous

    def test_a_floor_of_heads_reads_tokens_where_they_lie_and_has_a_block_for_several(self):
        cell = grid.Cell("qk", "bf16", 128, 16, 8)
        floor = floors.Floor.__new__(floors.Floor)
        floor.device = types.SimpleNamespace(sm=90, stream_handle=lambda: 0)
        floor.kernels = types.SimpleNamespace(function=lambda *names: names)
        self.assertEqual(floor.candidates(cell), [64, 128, 256])
        tokens = torch.arange(16 * 10 * 128).to(torch.int16).view(torch.bfloat16).view(16, 10, 128)
        y = torch.zeros(16, 8, 128, dtype=torch.bfloat16)
        weight = torch.ones(128, dtype=torch.bfloat16)
        sets = types.SimpleNamespace(count=1, x=[tokens[:, :8]], y=[y], weight=[weight], residual=None)
        with mock.patch.object(floors.cuda, "Launch") as launch:
            floor.bind_threads(cell, floor.variants(cell)[0], sets, 64)
        names, blocks, threads, params, pdl = launch.call_args[0]
        self.assertEqual(names, ("floor_off", "PACKS=16", "ADD=0", "HEADS=1", "THREADS=64"))
        self.assertEqual((blocks, threads, pdl), ((32, 1), 64, False))
        self.assertEqual((params.rows, params.heads_shift, params.x_token_packs), (128, 3, 160))
        with self.assertRaises(checks.Wrong):
            floor.check(cell, sets, 0)
        bits = torch.int16
        y.view(bits).copy_(tokens[:, :8].view(bits) ^ weight.view(bits))
        floor.check(cell, sets, 0)

    def test_every_adapter_can_be_named_on_the_command_line(self):
        modules = (ours, references, floors, flashinfer_peers, peers)
        kinds = [k for module in modules for k in vars(module).values() if isinstance(k, type)]
        names = {kind.name for kind in kinds if issubclass(kind, Adapter)} - {""}
        self.assertEqual(names, set(IMPLEMENTATIONS))

    def test_every_op_passes_its_own_check(self):
        for cell in (
            grid.Cell("rmsnorm", "bf16", 512, 3),
            grid.Cell("rmsnorm", "f16", 2881, 60),
            grid.Cell("fused_add", "bf16", 768, 5, 1, "cold"),
            grid.Cell("qk", "f16", 64, 3, 8),
            grid.Cell("gemma", "f32", 128, 64),
        ):
            entries, failures = self.run_cell(cell, Formula, peers.Torch)
            self.assertEqual(failures, {}, cell)
            variants = len(ours.all_variants(cell, 90))
            self.assertEqual(len(entries), variants + (cell.op != "gemma"), cell)
            self.assertTrue(all(len(entry["rounds"]) == 2 for entry in entries))

    def test_a_tie_of_the_first_rounding_may_fall_either_way(self):
        cell = types.SimpleNamespace(dtype="bf16")
        wanted = torch.ones(4096, dtype=torch.float64)
        wanted[7] = 1.22437
        got = wanted.clone()
        got[7] = 1.23438
        checks.compare(cell, "y", got, wanted, checks.TWICE)
        with self.assertRaises(checks.Wrong):
            checks.compare(cell, "y", got, wanted)
        got[7] = 1.2422
        with self.assertRaises(checks.Wrong):
            checks.compare(cell, "y", got, wanted, checks.TWICE)

    def test_a_pool_gives_each_cell_its_values_and_its_own_kind_of_weight(self):
        pool = tensors.Pool("cpu")
        small, large = (grid.Cell("fused_add", "bf16", 64, rows) for rows in (2, 8))
        for cell in (small, large, small):
            sets = tensors.TensorSets(cell, "cpu", 2, pool)
            self.assertEqual(sets.x[1].shape, (cell.rows, 64))
            self.assertTrue(torch.equal(sets.x_in_place[1], sets.x[1]))
            self.assertGreater(float(sets.x[1].float().std()), 0.5)
            self.assertFalse(torch.equal(sets.x[0], sets.x[1]))
            sets.x_in_place[1].zero_()  # what an implementation in place leaves
            sets.poison()
            self.assertEqual(sets.unwritten(), ["y", "h"])
            sets.y[0].zero_(), sets.y[1].zero_(), sets.h[0].zero_()
            self.assertEqual(sets.unwritten(), ["h"])
        gemma = tensors.TensorSets(grid.Cell("gemma", "bf16", 64, 2), "cpu", 2, pool)
        plain = tensors.TensorSets(grid.Cell("rmsnorm", "bf16", 64, 2), "cpu", 2, pool)
        self.assertLess(abs(float(gemma.weight[0].float().mean())), 0.2)
        self.assertGreater(float(plain.weight[0].float().mean()), 0.8)
        self.assertEqual(tensors.TensorSets(small, "cpu", 2, pool).weight[0].dtype, torch.bfloat16)
        half = tensors.TensorSets(grid.Cell("rmsnorm", "f16", 64, 2), "cpu", 2, pool)
        self.assertGreater(float(half.x[0].float().std()), 0.5)
        self.assertEqual(half.x[0].dtype, torch.float16)

    def test_what_compiles_before_the_run_tells_each_variants_errors(self):
        options, device = types.SimpleNamespace(), Device()
        cell = next(iter(warm_up.shapes([grid.Cell("rmsnorm", "bf16", 64, 2048)])))
        self.assertEqual((cell.hidden, cell.rows), (64, warm_up.ROWS[0]))
        pool = tensors.Pool("cpu")
        self.assertEqual(warm_up.call(Formula(options, device), cell, pool), ([], True))
        errors, worked = warm_up.call(Broken(options, device), cell, pool)
        self.assertEqual((len(errors), worked), (1, False))

    def test_ratios_are_against_the_same_maths_and_pdl(self):
        entries, _ = self.run_cell(grid.Cell("rmsnorm", "bf16", 64, 2), Formula, peers.Torch)
        ratios.add_ratios(entries)
        with_torch = [(e["pdl"], e["rounding"]) for e in entries if "torch" in e.get("ratios", {})]
        self.assertEqual(with_torch, [(False, "once")])

    def test_a_failing_implementation_is_recorded_and_left_out(self):
        entries, failures = self.run_cell(
            grid.Cell("rmsnorm", "bf16", 512, 3),
            Broken,
            OffByTwoPercent,
            WritesNothing,
            WritesOnlyTheFirstSet,
            peers.Torch,
        )
        self.assertEqual([entry["impl"] for entry in entries], ["torch"])
        self.assertIn("does not build", failures["broken"])
        self.assertIn("off by", failures["off"])
        self.assertIn("never written", failures["idle"])
        self.assertIn("leaves y unwritten", failures["lazy"])


if __name__ == "__main__":
    unittest.main()
