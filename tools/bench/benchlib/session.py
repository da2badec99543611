# SPDX-License-Identifier: Apache-2.0
"""The child process of `bench.py run`: loads the implementations, prepares our kernels, measures
cell after cell until the grid or the time is at its end, and keeps the results file up to date."""

import gc
import os
import subprocess
import sys
import time

from . import record
from .variants import Missing


def now_path(out):
    return out + ".now"


def read_now(out):
    """(cell, implementation) at work when the child ended."""
    try:
        with open(now_path(out), encoding="utf-8") as file:
            cell, _, implementation = file.read().partition("\n")
            return cell, implementation
    except OSError:
        return "start", "unknown"


def git_commit():
    try:
        return subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
            cwd=os.path.dirname(os.path.abspath(__file__)),
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def say(text):
    print(text, file=sys.stderr, flush=True)


class Options:
    """What adapters and cells read."""

    def __init__(self, args, nvrtc):
        self.rmsjit, self.worker, self.nvrtc = args.rmsjit, args.worker, nvrtc
        self.flashinfer_module = args.flashinfer_module
        self.flashinfer_include = args.flashinfer_include
        self.rounds, self.small_rounds = args.rounds, args.small_rounds
        self.work_dir = os.environ.get("RMSJIT_BENCH_WORK", "/tmp")
        self.cache_dir = os.path.join(self.work_dir, "rmsjit-cache")
        self.run = args.run_id or time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        self.kernels = None


class Session:
    def __init__(self, args):
        from . import cuda, device

        self.args = args
        self.begin = time.time()
        resumed = os.path.exists(args.out)
        self.record = record.Record(args.out, record.load(args.out) if resumed else None)
        self.device = device.Device()
        self.options = Options(args, cuda.find_nvrtc(args.nvrtc))
        self._exclude = {tuple(pair.split("::")) for pair in args.exclude}
        self._describe(cuda, device)
        self.adapters = self._load_adapters()

    def _describe(self, cuda, device):
        data = self.record.data
        data["gpu"] = self.device.properties.name
        data["driver"] = (
            device.nvidia_smi(["driver_version"]).get("driver_version", "")
            + f" (CUDA {cuda.driver_version()})"
        ).strip()
        if self.options.nvrtc:
            data["nvrtc"] = cuda.Nvrtc(self.options.nvrtc).version()
        data["commit"] = self.args.commit or git_commit()
        data["clocks"] = device.clocks()
        if not data["memcpy"]:
            data["memcpy"].append(self.device.memcpy())

    def _load_adapters(self):
        from . import flashinfer_peers as fi, ours, peers, references as refs

        kinds = (
            ours.Rmsjit,
            refs.Copy,
            refs.Empty,
            refs.Floor,
            refs.BarrierFloor,
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
                reason = (
                    str(error) if isinstance(error, Missing) else f"{type(error).__name__}: {error}"
                )
                self.record.data["missing"][kind.name] = reason[:2000]
                say(f"{kind.name:<16} missing: {reason[:300]}")
                continue
            self.record.data["missing"].pop(kind.name, None)
            self.record.data["peers"][kind.name] = out[-1].version()
            say(f"{kind.name:<16} {out[-1].version() or 'ready'} ({time.time() - begin:.1f} s)")
        return out

    def _now(self, cell, implementation):
        with open(now_path(self.args.out), "w", encoding="utf-8") as file:
            file.write(f"{cell}\n{implementation}")

    def _prepare(self, cells):
        from .ours import Rmsjit
        from .references import Floor

        for adapter in self.adapters:
            if isinstance(adapter, Floor):
                for cell in cells:
                    if cell.op != "qk" and cell.hidden * cell.element_bytes % 16 == 0:
                        adapter.kernels.start_floors(cell)
        for adapter in self.adapters:
            if isinstance(adapter, Rmsjit):
                self._now("start", "rmsjit")
                begin = time.time()
                failed = adapter.prepare_all(cells)
                for index, message in failed.items():
                    self.record.add_failure("prepare", "rmsjit", message, spec=index)
                self.record.data["prepare"] += adapter.compiles
                say(
                    f"rmsjit: {len(adapter.compiles)} kernels compiled, {len(failed)} failed, "
                    f"{time.time() - begin:.1f} s"
                )

    def _given_up(self):
        """Cells of which nothing can be measured, or whose timing itself ended a process."""
        failed = {f["cell"] for f in self.record.data["failures"] if f["impl"] in ("all", "timing")}
        return failed | {cell for cell, name in self._exclude if name == "timing"}

    def _device_lost(self):
        try:
            self.device.synchronize()
        except RuntimeError:
            return True
        return False

    def _out_of_time(self):
        return self.args.deadline is not None and time.time() >= self.args.deadline

    def run(self, cells):
        """The process's exit status."""
        from .measure import CellRun, DeviceLost

        if not self.adapters:
            say("bench: no implementation can be used")
            return 3
        passed = self.record.done() | self._given_up()
        todo = [cell for cell in cells if cell.id not in passed]
        self._prepare(todo)
        self.record.flush()
        for index, cell in enumerate(todo):
            if self._out_of_time():
                break
            adapters = [a for a in self.adapters if (cell.id, a.name) not in self._exclude]
            runner = CellRun(self.device, adapters, self.record, self.options, self._now)
            try:
                self._run_cell(runner, cell, f"{index + 1}/{len(todo)}")
            except Exception as error:
                # A peer's broken context, or a mistake in here that must not end the run.
                say(f"bench: {cell.id}: {type(error).__name__}: {error}")
                if isinstance(error, DeviceLost) or self._device_lost():
                    self.record.flush()
                    os._exit(75)  # the broken context would hang an orderly end
                self.record.add_failure(cell.id, "all", f"{type(error).__name__}: {error}")
        return self._finish([cell.id for cell in todo])

    def _run_cell(self, runner, cell, position):
        import torch
        from .tensors import TooLarge

        begin = time.time()
        failures = len(self.record.data["failures"])
        try:
            entries = runner.run(cell)
        except (TooLarge, torch.cuda.OutOfMemoryError) as error:
            self.record.add_failure(cell.id, "all", f"does not fit: {error}")
            entries = []
        self.record.add_entries(entries)
        say(
            record.summary(
                entries,
                cell,
                position,
                time.time() - begin,
                self.record.data["failures"][failures:],
            )
        )
        del entries
        if cell.set_bytes > 16 << 20 or len(self.record.data["failures"]) > failures:
            gc.collect()  # a traceback keeps the buffers of the implementation that failed
            torch.cuda.empty_cache()

    def _finish(self, wanted):
        from . import device

        data = self.record.data
        done, given_up = self.record.done(), self._given_up()
        data["not_run"] = [cell for cell in wanted if cell not in done | given_up]
        data["runs"].append(
            {
                "run": self.options.run,
                "seconds": round(time.time() - self.begin, 1),
                "clocks_after": device.clocks(),
                "command": " ".join(sys.argv),
            }
        )
        self.record.flush()
        os.remove(now_path(self.args.out))
        say(
            f"{len(done)} cells measured, {len(data['not_run'])} not run, {len(data['failures'])} "
            f"failures, {time.time() - self.begin:.0f} s: {self.args.out}"
        )
        return 0
