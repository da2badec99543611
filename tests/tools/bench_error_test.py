# SPDX-License-Identifier: Apache-2.0
"""What an implementation's error leaves behind for the next one, on a made-up device whose runtime
keeps the error of a failed launch as CUDA's does. Needs no torch: none of it is called."""

import contextlib
import os
import sys
import types
import unittest
from unittest import mock

import bench_results  # noqa: F401 (finds the package)

try:
    import torch  # noqa: F401
except ImportError:
    sys.modules["torch"] = types.SimpleNamespace(bfloat16=0, float16=1, float32=2)
from benchlib import cuda, grid, measure, record, session, warm_up
from benchlib.variants import Adapter, Unsupported, Variant

CELL = grid.Cell("fused_add", "bf16", 131072, 1)


class Device:
    """`pending` is the runtime's last error; `broken` a context that nothing repairs."""

    kind = "cpu"

    def __init__(self):
        self.pending = self.broken = None

    def launch_check(self):
        error, self.pending = self.pending, None
        if error:
            raise RuntimeError(f"CUDA error: {error}")

    touch = launch_check

    def synchronize(self):
        if self.broken:
            raise RuntimeError(self.broken)

    def on_stream(self):
        return contextlib.nullcontext()

    def events(self, count):
        return [mock.Mock(elapsed_time=lambda _: 1.0) for _ in range(count)]

    def capture(self, work, count):
        for index in range(count):
            work(index)
        return types.SimpleNamespace(nodes=count)

    def replay(self, *_):
        pass


class Reference(Adapter):
    is_reference = True

    def variants(self, cell):
        return [Variant(), Variant(True)]

    def check(self, *_):
        pass


class LaunchFails(Reference):
    """A peer with a launch check of its own, which leaves the runtime's error where it is."""

    name = "flashinfer_cuda"

    def bind(self, cell, variant, sets):
        def run(_):
            self.device.pending = "invalid argument"
            raise RuntimeError("FusedAddRMSNorm failed")

        return run


class ChecksLaunches(Reference):
    name = "quack"

    def bind(self, cell, variant, sets):
        return lambda _: self.device.launch_check()


class BreaksTheContext(Reference):
    name = "breaker"

    def bind(self, cell, variant, sets):
        self.device.broken = "an illegal memory access was encountered"
        raise RuntimeError(self.device.broken)


class DoesNoAdd(Reference):
    name = "te"

    def variants(self, cell):
        raise Unsupported("no residual add")


class LeftBehind(unittest.TestCase):
    def setUp(self):
        self.device, self.record = Device(), record.Record(os.devnull)
        sets = types.SimpleNamespace(count=1, poison=lambda *_: None)
        for module in (measure, warm_up):
            patch = mock.patch.object(module, "TensorSets", lambda *_, **__: sets)
            patch.start()
            self.addCleanup(patch.stop)

    def run_cell(self, *kinds):
        options = types.SimpleNamespace(rounds=7, small_rounds=7, run="r")
        adapters = [kind(options, self.device) for kind in kinds]
        now = lambda *_: None
        return measure.CellRun(self.device, adapters, self.record, options, now).run(CELL)

    def test_a_launch_that_failed_does_not_fail_the_next_implementation(self):
        entries = self.run_cell(LaunchFails, ChecksLaunches)
        found = [(entry["impl"], entry["pdl"]) for entry in entries]
        self.assertEqual(found, [("quack", False), ("quack", True)])
        self.assertEqual([f["impl"] for f in self.record.data["failures"]], ["flashinfer_cuda"] * 2)

    def test_what_an_implementation_does_not_do_is_in_the_file_once(self):
        self.assertEqual(self.run_cell(DoesNoAdd) + self.run_cell(DoesNoAdd), [])
        data, reason = self.record.data, {"impl": "te", "what": "no residual add"}
        self.assertEqual((data["unsupported"], data["failures"]), ([reason], []))

    def test_a_broken_context_ends_the_cell(self):
        with self.assertRaisesRegex(measure.DeviceLost, "illegal memory access"):
            self.run_cell(BreaksTheContext, ChecksLaunches)
        with self.assertRaisesRegex(RuntimeError, "illegal memory access"):
            cuda.clear_error(self.device)

    def test_nor_does_one_that_failed_while_everything_compiles(self):
        here = session.Session.__new__(session.Session)
        here.device, here.record, here.pool = self.device, self.record, None
        here.out, here._exclude, here._broken = os.devnull, set(), {}
        with mock.patch.object(session, "now_path", lambda out: out):
            here._warm_up(LaunchFails(None, self.device), next(warm_up.shapes([CELL])))
        self.assertEqual([impl for impl, _ in here._broken], ["flashinfer_cuda"])
        self.assertEqual(warm_up.call(ChecksLaunches(None, self.device), CELL, None), ([], True))

    def test_a_run_without_an_implementation_that_it_requires_ends(self):
        here = session.Session.__new__(session.Session)
        here.record, here.options = self.record, types.SimpleNamespace(first=False)
        here.args = types.SimpleNamespace(require="quack,liger")
        here._miss("flashinfer", ImportError("no module"))
        with self.assertRaisesRegex(RuntimeError, "--require quack, which is missing"):
            here._miss("quack", ImportError("no module"))
        here.args.require = None
        here._miss("liger", ImportError("no module"))
        self.assertEqual(set(self.record.data["missing"]), {"flashinfer", "quack", "liger"})

    def test_nor_does_a_package_that_fails_to_load(self):
        here = session.Session.__new__(session.Session)
        here.device, self.device.pending = self.device, "no kernel image"
        self.assertFalse(here._device_lost())
        self.device.launch_check()
        self.device.broken = "lost"
        self.assertTrue(here._device_lost())


if __name__ == "__main__":
    unittest.main()
