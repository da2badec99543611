# SPDX-License-Identifier: Apache-2.0
"""The child of `profile_cells.py`, which ncu watches: each job is launched once unseen, so that all
is compiled and loaded, then once between the marks that ncu profiles."""

import contextlib
import json

from . import cuda
from .grid import Cell
from .profile_jobs import OUT_OF_TIME
from .tensors import TensorSets
from .variants import Variant

AHEAD = 64  # jobs of which our kernels are compiled at once: not many more than there is time for


def run(session, jobs, done, marks, out_of_time):
    """Writes a line to `done` for each job that ran or failed. `marks` is a pair of functions:
    begin and end of what is profiled."""
    adapters = {adapter.name: adapter for adapter in session.adapters}
    cell = sets = None
    for index, job in enumerate(jobs):
        line = {**job, "kernels": 0}
        try:
            if out_of_time():
                raise TimeoutError(OUT_OF_TIME)
            if index % AHEAD == 0:
                prepare(adapters, jobs[index : index + AHEAD])
            if job["impl"] not in adapters:
                raise ValueError(session.record.data["missing"].get(job["impl"], "not loaded"))
            if Cell(*job["shape"]) != cell:
                cell, sets = Cell(*job["shape"]), None
                sets = TensorSets(cell, session.device.kind, sets=1, pool=session.pool)
            with session.device.on_stream():
                launch = bound(adapters[job["impl"]], cell, job, sets)
                line["kernels"] = profile(session.device, launch, marks)
        except Exception as error:
            line["error"] = f"{type(error).__name__}: {error}"[:600]
            with contextlib.suppress(RuntimeError):  # a broken context fails the next job as well
                cuda.clear_error(session.device)
        done.write(json.dumps(line) + "\n")
        done.flush()


def variant_of(job):
    return Variant(job["pdl"], job["rounding"], job["in_place"])


def prepare(adapters, jobs):
    """What does not compile is an error of its own job."""
    for adapter in adapters.values():
        mine = [job for job in jobs if job["impl"] == adapter.name]
        with contextlib.suppress(Exception):
            adapter.prepare([(Cell(*job["shape"]), variant_of(job)) for job in mine])


def bound(adapter, cell, job, sets):
    variant = variant_of(job)
    if job["threads"]:  # a floor's block size as in the results: under ncu no trial can find it
        return adapter.bind_threads(cell, variant, sets, job["threads"])
    return adapter.bind(cell, variant, sets)


def profile(device, launch, marks):
    """How many kernels one launch is."""
    alive = [launch(0)]
    device.synchronize()
    kernels = device.capture(lambda _: alive.append(launch(0)), 1).nodes
    begin, end = marks
    begin()
    alive.append(launch(0))
    device.synchronize()
    end()
    return kernels
