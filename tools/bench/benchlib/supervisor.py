# SPDX-License-Identifier: Apache-2.0
"""The parent of `bench.py run`. It divides the cells over processes that import and compile at the
same time, and then lets one at a time measure, most wanted cells first: who measures has the GPU to
itself. It joins what they measured into one file after each turn, and charges a crash to the
implementation that was at work; the rest of that process's cells are taken up again at the end."""

import contextlib
import json
import os
import select
import subprocess
import sys
import time

from . import grid, machine, phases, record

MOST_RESTARTS = 12
# A process that takes longer hangs: to begin, for what a key compiles, for a turn.
START_S, KEY_S, TURN_S = 100, 20, 300
SLOWEST = 8  # a turn may also take so many times what is expected of its cells on an H100
AT_ONCE = ("import", "compile ours", "compile peers")
PROGRAM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench.py")


def say(text):
    print(text, file=sys.stderr, flush=True)


def now_path(out):
    return out + ".now"


def read_now(out):
    """(cell, implementation) at work when a child ended."""
    try:
        with open(now_path(out), encoding="utf-8") as file:
            cell, _, implementation = file.read().partition("\n")
            return cell, implementation
    except OSError:
        return "start", "unknown"


class Child:
    """One measuring process: it says a line when it is ready and after each turn, and ends at the
    end of its standard input."""

    def __init__(self, cells, folder, argv, excluded, deadline):
        os.makedirs(folder, exist_ok=True)
        self.cells, self.out = cells, os.path.join(folder, "part.json")
        self.tiers = {grid.tier(cell) for cell in cells}
        self.ended_after_s = None  # where it ran out of time
        with open(os.path.join(folder, "cells.json"), "w", encoding="utf-8") as file:
            json.dump([cell.id for cell in cells], file)
        command = [sys.executable, PROGRAM] + argv + [f"--child={folder}"]
        command += [f"--deadline={deadline}"] if deadline else []
        command += [f"--exclude={pair}" for pair in excluded]
        # Inductor in many processes at once needs no pools of helpers of its own.
        environment = {"TORCHINDUCTOR_COMPILE_THREADS": "1", **os.environ}
        environment["CUTE_DSL_CACHE_DIR"] = os.path.join(folder, "cute")
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ready(self):
        return self.wait(START_S + KEY_S * len({grid.key(cell) for cell in self.cells}))

    def wait(self, limit_s):
        """False when the child has ended instead of saying that it is done; one that hangs is
        ended."""
        if not select.select([self.process.stdout], [], [], limit_s)[0]:
            self.ended_after_s = limit_s
            self.process.kill()
        return self.process.stdout.readline() != ""

    def turn_limit_s(self, tier):
        cells = [cell for cell in self.cells if grid.tier(cell) == tier]
        return max(TURN_S, SLOWEST * sum(grid.expected_seconds(cell) for cell in cells))

    def turn(self, tier):
        try:
            self.process.stdin.write(f"{tier}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # wait() tells

    def end(self):
        self.close()
        status = self.process.wait()
        self.process.stdout.close()
        return status

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


def taken_up(path):
    """The record that a run goes on with. Raises ValueError if it is of another GPU."""
    data, gpu = record.load(path), machine.gpu_name()
    if data["gpu"] and gpu and data["gpu"] != gpu:
        raise ValueError(
            f"--out {path} was measured on {data['gpu']} and this GPU is {gpu}: name another file"
        )
    return data


class Supervisor:
    def __init__(self, args, argv, work_dir):
        self.args, self.argv, self.work_dir = args, argv, work_dir
        self.begin = time.time()
        self.deadline = self.begin + args.time_limit if args.time_limit else None
        self._before = taken_up(args.out) if os.path.exists(args.out) else record.empty()
        self._parts, self._excluded, self._started = {}, [], 0
        self._wanted, self._statuses = [], []

    def run(self, cells, left_out):
        """The exit status."""
        self._wanted = [cell.id for cell in cells]
        before = [e for e in self._before["left_out"] if e["cell"] not in self._wanted]
        self._before["left_out"] = before + left_out
        missing = set(self._join()["not_run"])
        todo = [cell for cell in cells if cell.id in missing]
        for _ in range(1 + MOST_RESTARTS):
            if not todo or self._out_of_time():
                break
            todo = self._measure(todo)
        data = self._join()
        self._report(data)
        if todo and not self._out_of_time():
            say(f"bench: gave up after {MOST_RESTARTS} restarts")
            return 1
        left = set(self._wanted) & set(data["not_run"])
        return max(self._statuses, default=0) if left else 0

    def _out_of_time(self):
        return self.deadline is not None and time.time() >= self.deadline

    def _start(self, cells):
        cores = os.cpu_count() or 1
        count = self.args.processes or max(1, cores - 2)
        parts = [part for part in grid.divided(cells, count, lambda mine: 1.0) if part]
        say(f"bench: {len(cells)} cells in {len(parts)} processes")
        children = []
        for part in parts:
            folder = os.path.join(self.work_dir, str(self._started))
            self._started += 1
            argv = self.argv + [f"--threads={max(1, cores // len(parts))}"]
            argv += ["--first"] if not children else []
            children.append(Child(part, folder, argv, self._excluded, self.deadline))
        return children

    def _measure(self, cells):
        """Starts processes for the cells and gives them their turns. The cells that those which
        crashed have left."""
        children, crashed = self._start(cells), []
        for child in list(children):
            if not child.ready():
                self._ended(child, children, crashed)
        say(f"bench: ready after {time.time() - self.begin:.0f} s")
        previous = None
        for tier in sorted({tier for child in children for tier in child.tiers}):
            for child in [c for c in children if tier in c.tiers]:
                if self._out_of_time():
                    break
                child.turn(tier)
                self._join(previous)  # while this one measures
                previous = child
                if not child.wait(child.turn_limit_s(tier)):
                    self._ended(child, children, crashed)
        for child in children:
            child.close()  # all at once
        for child in list(children):
            self._ended(child, children, crashed)
        left = set(self._join()["not_run"])
        return [cell for child in crashed for cell in child.cells if cell.id in left]

    def _ended(self, child, children, crashed):
        """0 to 3: the child has said why it ended; else an implementation crashed it."""
        children.remove(child)
        status = child.end()
        self._read(child)
        self._statuses.append(status if status in (1, 2, 3) else 0)
        if status in (0, 1, 2, 3):
            return
        crashed.append(child)
        cell, implementation = read_now(child.out)
        why = f"ended the process (status {status})"
        if child.ended_after_s is not None:
            why = f"ran out of time: the process was ended after {child.ended_after_s:.0f} s"
        record.Record("", self._before).add_failure(cell, implementation, why)
        say(f"bench: {implementation} in {cell} {why}, going on without it there")
        self._excluded.append(f"{cell}::{implementation}")

    def _read(self, child):
        if child is not None and os.path.exists(child.out):
            self._parts[child.out] = record.load(child.out)

    def _join(self, changed=None):
        """What is known so far, also written to the results file."""
        self._read(changed)
        parts = list(self._parts.values())
        data = record.merge([self._before, *parts])
        done = {record.cell_id(entry) for entry in data["cells"]} | record.given_up(data)
        # What an earlier selection asked for stays asked for.
        wanted = dict.fromkeys(self._wanted + self._before["not_run"])
        done |= {entry["cell"] for entry in data["left_out"]}
        data["not_run"] = [cell for cell in wanted if cell not in done]
        if parts:
            ended = [run for part in parts for run in part["runs"]]
            clocks = [run["clocks_after"] for run in ended if run["clocks_after"]]
            data["runs"] = self._before["runs"] + [
                {
                    "run": self.args.run_id,
                    "seconds": round(time.time() - self.begin, 1),
                    "phases": phases.joined([run["phases"] for run in ended], AT_ONCE),
                    "clocks_after": clocks[0] if clocks else {},
                    "command": " ".join(sys.argv),
                }
            ]
        record.Record(self.args.out, data).flush()
        return data

    def _report(self, data):
        done = {record.cell_id(entry) for entry in data["cells"]}
        say(
            f"{len(done)} cells measured, {len(data['not_run'])} not run, "
            f"{len(data['left_out'])} left out, {len(data['failures'])} failures, "
            f"{time.time() - self.begin:.0f} s: {self.args.out}"
        )
        spent = data["runs"][-1]["phases"] if data["runs"] else {}
        say("seconds by phase: " + ", ".join(f"{name} {s:.1f}" for name, s in spent.items()))
