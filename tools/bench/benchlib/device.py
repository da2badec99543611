# SPDX-License-Identifier: Apache-2.0
"""The device as a run uses it: its stream, the buffer that empties the L2, and captured graphs."""

import contextlib
import time

import torch

from . import cuda

FLUSH_BYTES = 192 << 20  # overwritten before each cold replay: more than any L2 to date
CYCLES_A_US = 2000  # at most, on the GPUs of interest; a longer wait does no harm


class Device:
    kind = "cuda"

    def __init__(self):
        if not torch.cuda.is_available():
            raise RuntimeError("no CUDA device: torch.cuda.is_available() is False")
        self.index = torch.cuda.current_device()
        self.properties = torch.cuda.get_device_properties(self.index)
        torch.empty(1, device="cuda")  # makes the primary context current for the driver calls
        self.stream = torch.cuda.Stream()
        self._flush = torch.ones(FLUSH_BYTES // 4, dtype=torch.int32, device="cuda")
        self._flush_value = 1
        self.synchronize()
        self.cover_us = 60.0

    @property
    def sm(self):
        return 10 * self.properties.major + self.properties.minor

    def stream_handle(self):
        return self.stream.cuda_stream

    def on_stream(self):
        """A context in which torch, and what follows torch's current stream, uses this stream."""
        return torch.cuda.stream(self.stream)

    def events(self, count):
        return [torch.cuda.Event(enable_timing=True) for _ in range(count)]

    def synchronize(self):
        torch.cuda.synchronize()

    def touch(self):
        """A tiny launch of torch's, with its launch check."""
        self._flush[:1].fill_(self._flush_value)

    def before_replay(self, cold):
        """Empties the L2 if asked, then keeps the GPU busy until the host has queued the replay, so
        that the events around it measure the GPU alone."""
        if cold:
            self._flush_value = self._flush_value % 1000 + 1
            self._flush.fill_(self._flush_value)
        torch.cuda._sleep(int(self.cover_us * CYCLES_A_US))

    def capture(self, work, count):
        """A graph of work(0) .. work(count - 1) on this device's stream."""
        graph = torch.cuda.CUDAGraph(keep_graph=True)
        # Not torch.cuda.graph(): it collects garbage and empties the allocator each time.
        with self.on_stream():
            graph.capture_begin(capture_error_mode="thread_local")
            try:
                for i in range(count):
                    work(i)
            except BaseException:
                with contextlib.suppress(RuntimeError):
                    graph.capture_end()
                raise
            graph.capture_end()
        return cuda.Graph(graph, self.stream_handle())

    def replay(self, graph, cold, begin, end, learn=False):
        """Queues one timed replay between two events; `learn` adapts the cover to the host's speed
        (not at a graph's first replay, which also uploads it)."""
        self.before_replay(cold)
        host = time.perf_counter()
        begin.record(self.stream)
        graph.replay()
        end.record(self.stream)
        if learn:
            wanted = min(500.0, 1.5e6 * (time.perf_counter() - host) + 10)
            self.cover_us = max(20.0, 0.7 * self.cover_us + 0.3 * wanted)

    def memcpy(self, size=4 << 30):
        """A large device-to-device copy: the bandwidth that the copy engine's kernel reaches."""
        free = torch.cuda.mem_get_info()[0]
        size = min(size, free // 4)
        source = torch.ones(size // 4, dtype=torch.int32, device="cuda")
        target = torch.empty_like(source)
        self.synchronize()
        events = self.events(2)
        times = []
        with self.on_stream():
            for _ in range(7):
                events[0].record(self.stream)
                target.copy_(source)
                events[1].record(self.stream)
                self.stream.synchronize()
                times.append(1e3 * events[0].elapsed_time(events[1]))
        times.sort()
        moved = 2 * source.numel() * 4
        return {"bytes": moved, "us": round(times[3], 2), "gb_s": round(moved / times[3] / 1e3, 1)}
