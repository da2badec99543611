# SPDX-License-Identifier: Apache-2.0
"""The child process of `bench.py run`: loads the implementations, prepares our kernels, measures
cell after cell until the grid or the time is at its end, and keeps the results file up to date."""

import gc
import os
import time

from . import cuda, grid, machine, record, warm_up
from .phases import Phases
from .ratios import add_ratios
from .supervisor import now_path, say
from .variants import Missing

RESTART = 75  # the exit status when only a new process can go on
UNPOOLED_BYTES = 1 << 30  # a set this large needs the memory that other shapes have left
UNUSED_BYTES = 16 << 30  # of memory that the allocator keeps, before it gives it back


class Options:
    """What adapters and cells read."""

    def __init__(self, args, nvrtc):
        self.rmsjit, self.worker, self.nvrtc = args.rmsjit, args.worker, nvrtc
        self.flashinfer_module = args.flashinfer_module
        self.flashinfer_include = args.flashinfer_include
        self.rounds, self.small_rounds = args.rounds, args.small_rounds
        self.work_dir = args.child
        self.cache_dir = os.path.join(self.work_dir, "rmsjit-cache")
        self.run = args.run_id
        self.threads, self.first = args.threads, args.first
        self.kernels = None


class Session:
    def __init__(self, args):
        self._phase = Phases()
        with self._phase("import"):
            from . import device, tensors

            self.args = args
            self.out = os.path.join(args.child, "part.json")
            self.record = record.Record(self.out)
            self.device = device.Device()
            self.pool = tensors.Pool(self.device.kind)
            self.options = Options(args, cuda.find_nvrtc(args.nvrtc))
            self._exclude = {tuple(pair.split("::")) for pair in args.exclude}
            self._broken = {}  # (implementation, key): why no kernel of it compiles
            self._describe()
            self.adapters = self._load_adapters()

    def _describe(self):
        data = self.record.data
        data["gpu"] = self.device.properties.name
        data["commit"] = self.args.commit or machine.git_commit()
        if self.options.first:
            data.update(machine.facts(self.options.nvrtc))

    def _load_adapters(self):
        from . import flashinfer_peers as fi, floors, ours, peers, references as refs

        kinds = (
            ours.Rmsjit,
            refs.Copy,
            refs.Empty,
            floors.Floor,
            floors.BarrierFloor,
            floors.LandedFloor,
            fi.FlashInfer,
            fi.FlashInferCuda,
            peers.Quack,
            peers.Inductor,
            peers.Liger,
            peers.Torch,
            peers.TransformerEngine,
        )
        wanted = set(self.args.impl.split(",")) if self.args.impl else {k.name for k in kinds}
        out = []
        for kind in (k for k in kinds if k.name in wanted):
            self._now("start", kind.name)
            begin = time.time()
            try:
                if ("start", kind.name) in self._exclude:
                    raise Missing("ended the process when it was loaded")
                out.append(kind(self.options, self.device))
            except Exception as error:
                self._miss(kind.name, error)
                if self._device_lost():
                    self._leave()
                continue
            self.record.data["peers"][kind.name] = out[-1].version()
            if self.options.first:
                say(f"{kind.name:<16} {out[-1].version() or 'ready'} ({time.time() - begin:.1f} s)")
        return out

    def _miss(self, name, error):
        """Raises RuntimeError where --require names it: a run without it is not wanted."""
        reason = str(error) if isinstance(error, Missing) else f"{type(error).__name__}: {error}"
        self.record.data["missing"][name] = reason[:2000]
        if self.options.first:
            say(f"{name:<16} missing: {reason[:300]}")
        if name in (self.args.require or "").split(","):
            raise RuntimeError(f"--require {name}, which is missing")

    def _now(self, cell, implementation):
        with open(now_path(self.out), "w", encoding="utf-8") as file:
            file.write(f"{cell}\n{implementation}")

    def prepare(self, cells):
        """Everything that compiles, before anybody measures."""
        with self._phase("compile ours"):
            self._compile_ours(cells)
        with self._phase("compile peers"):
            for cell in warm_up.shapes(cells):
                for adapter in self.adapters:
                    if not adapter.is_reference and not self._out_of_time():
                        self._warm_up(adapter, cell)
        self.device.synchronize()
        self._free()
        gc.freeze()  # later collections look at what a cell has left, not at the compilers
        self.record.flush()

    def _compile_ours(self, cells):
        from .ours import Rmsjit
        from .floors import Floor

        for adapter in self.adapters:
            if isinstance(adapter, Floor):
                for cell in cells:
                    if cell.hidden * cell.element_bytes % 16 == 0:
                        adapter.start(cell)
        for adapter in self.adapters:
            if isinstance(adapter, Rmsjit):
                self._now("start", "rmsjit")
                failed = adapter.prepare_all(cells)
                for index, message in failed.items():
                    self.record.add_failure("prepare", "rmsjit", message, spec=index)
                self.record.data["prepare"] += adapter.compiles

    def _warm_up(self, adapter, cell):
        """A variant or a number of rows that fails shows again in its cells; what fails in all is
        not tried there once more."""
        what, where = warm_up.name(cell), (adapter.name, grid.key(cell))
        if cell.rows != warm_up.ROWS[0] and where in self._broken:
            return
        self._now(what, adapter.name)
        try:
            if (what, adapter.name) in self._exclude:
                raise Missing("ended the process when it was compiled")
            with self.device.on_stream():
                errors, worked = warm_up.call(adapter, cell, self.pool)
            self.device.synchronize()
        except Exception as error:
            errors, worked = [error], False
        if errors and self._device_lost():
            self._leave()
        if errors and not worked and cell.rows == warm_up.ROWS[0]:
            self._broken[where] = f"{type(errors[0]).__name__}: {errors[0]}"

    def _leave(self):
        self.record.flush()
        os._exit(RESTART)  # the broken context would hang an orderly end

    def _device_lost(self):
        """If not, no error is left behind for the next implementation either."""
        try:
            cuda.clear_error(self.device)
        except RuntimeError:
            return True
        return False

    def _out_of_time(self):
        return self.args.deadline is not None and time.time() >= self.args.deadline

    def _usable(self, cell):
        """The adapters for a cell; one whose kernels do not compile is a failure of each cell."""
        out = []
        for adapter in self.adapters:
            why = self._broken.get((adapter.name, grid.key(cell)))
            if why is not None:
                self.record.add_failure(cell.id, adapter.name, why)
            elif (cell.id, adapter.name) not in self._exclude:
                out.append(adapter)
        return out

    def turn(self, cells):
        """Measures the cells; this process has the GPU to itself."""
        from .measure import CellRun, DeviceLost

        if self.options.first and not self.record.data["memcpy"]:
            self.record.data["memcpy"].append(self.device.memcpy())
        for cell in cells:
            if self._out_of_time() or (cell.id, "timing") in self._exclude:
                continue
            parts = (self.record, self.options, self._now, self.pool, self._phase)
            runner = CellRun(self.device, self._usable(cell), *parts)
            try:
                self._run_cell(runner, cell)
            except Exception as error:
                # A peer's broken context, or a mistake in here that must not end the run.
                say(f"bench: {cell.id}: {type(error).__name__}: {error}")
                if isinstance(error, DeviceLost) or self._device_lost():
                    self._leave()
                self.record.add_failure(cell.id, "all", f"{type(error).__name__}: {error}")
        with self._phase("free"):
            self._free()

    def _run_cell(self, runner, cell):
        import torch

        begin, failures = time.time(), len(self.record.data["failures"])
        if cell.set_bytes > UNPOOLED_BYTES:
            self._free()
        try:
            entries = runner.run(cell)
        except torch.cuda.OutOfMemoryError as error:
            self.record.add_failure(cell.id, "all", f"does not fit: {error}")
            entries = []
        broken = self.record.data["failures"][failures:]
        with self._phase("flush"):
            self.record.add_entries(entries)
            say(record.summary(entries, cell, time.time() - begin, broken))
        with self._phase("free"):
            unused = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
            if broken or unused > UNUSED_BYTES:
                gc.collect()  # a traceback keeps the buffers of the implementation that failed
                torch.cuda.empty_cache()

    def _free(self):
        import torch

        self.pool.clear()
        gc.collect()
        torch.cuda.empty_cache()

    def after_turn(self):
        """What needs no GPU, while another process measures."""
        add_ratios(self.record.data["cells"])
        self.record.flush()

    def finish(self):
        self.record.data["runs"] = [
            {
                "phases": self._phase.rounded(),
                "clocks_after": machine.clocks() if self.options.first else {},
            }
        ]
        self.record.flush()
