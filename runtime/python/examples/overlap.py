#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Norms that write into a communication buffer: each slice of tokens is normalised straight into
its place in the buffer, while the slice before it travels to another GPU on a second stream. Beside
it what is done without out=: norm into memory of its own, copy into the buffer, send.

    python3 overlap.py [--out FILE.json] [--tokens 16384] [--slices 8]

Needs two GPUs; exits 3 where there are fewer."""

import argparse
import ctypes
import json
import pathlib
import statistics
import sys

import torch

import rmsjit

HIDDEN, ROUNDS = 8192, 50


class Exchange:
    """The tensors of one exchange, whole and in slices, and the stream that sends."""

    def __init__(self, tokens, slices):
        x, residual = (torch.randn(tokens, HIDDEN, device="cuda:0").bfloat16() for _ in range(2))
        self.weight = torch.randn(HIDDEN, device="cuda:0").bfloat16()
        self.buffer = torch.empty_like(x)
        self.arrived = torch.empty_like(x, device="cuda:1")
        self.arrived.copy_(self.buffer)  # torch lets the GPUs reach each other at the first copy
        self.whole = (x, residual, torch.empty_like(x), self.buffer, self.arrived)
        self.slices = list(zip(*(tensor.chunk(slices) for tensor in self.whole)))
        self.sending = torch.cuda.Stream("cuda:0")
        # torch's own copy between GPUs also waits for the other GPU's stream, on the host's time.
        self.copy = ctypes.CDLL("libcuda.so.1").cuMemcpyAsync
        self.copy.argtypes = (ctypes.c_uint64, ctypes.c_uint64, ctypes.c_size_t, ctypes.c_void_p)

    def norm(self, x, residual, sums, out):
        rmsjit.norm(x, self.weight, residual, residual_out=sums, out=out)

    def send(self, part, arrived, stream):
        failed = self.copy(arrived.data_ptr(), part.data_ptr(), part.nbytes, stream.cuda_stream)
        if failed:
            raise RuntimeError(f"cuMemcpyAsync: error {failed}")


def norm_copy_send(exchange):
    x, residual, sums, buffer, arrived = exchange.whole
    y = torch.empty_like(x)
    exchange.norm(x, residual, sums, y)
    buffer.copy_(y)
    exchange.send(buffer, arrived, torch.cuda.current_stream())


def norm_send(exchange):
    x, residual, sums, buffer, arrived = exchange.whole
    exchange.norm(x, residual, sums, buffer)
    exchange.send(buffer, arrived, torch.cuda.current_stream())


def overlapped(exchange, mark=lambda what, stream: None):
    computing, sending = torch.cuda.current_stream(), exchange.sending
    sending.wait_stream(computing)
    for x, residual, sums, part, arrived in exchange.slices:
        mark("norm", computing)
        exchange.norm(x, residual, sums, part)
        mark("norm", computing)
        sending.wait_stream(computing)
        mark("send", sending)
        exchange.send(part, arrived, sending)
        mark("send", sending)
    computing.wait_stream(sending)


def measure(way, exchange):
    """Median milliseconds of one exchange."""
    times = []
    for _ in range(ROUNDS + 5):
        exchange.arrived.zero_()
        torch.cuda.synchronize(0)
        torch.cuda.synchronize(1)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        way(exchange)
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times[5:])


def timeline(exchange):
    """[what, begin, end] in microseconds of each norm and each send of one overlapped exchange."""
    events = {}

    def mark(what, stream):
        event = torch.cuda.Event(enable_timing=True)
        event.record(stream)
        events[what].append(event)

    for _ in range(5):  # the last one counts
        events.update(norm=[], send=[])
        torch.cuda.synchronize(0)
        overlapped(exchange, mark)
    torch.cuda.synchronize(0)
    first = events["norm"][0]
    micros = {what: [round(first.elapsed_time(e) * 1000, 1) for e in list_]
              for what, list_ in events.items()}
    return [[what, *times[i:i + 2]] for i in range(0, 2 * len(exchange.slices), 2)
            for what, times in micros.items()]


def draw(line, width=96):
    last = max(end for _, _, end in line)
    for row in ("norm", "send"):
        text = [" "] * width
        for number, (what, begin, end) in enumerate(line):
            for i in range(int(begin / last * width), max(int(end / last * width), 1)):
                text[i] = str(number // 2 % 10) if what == row else text[i]
        print(f"{row} |{''.join(text)}| {last:.0f} us")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="where the JSON goes")
    parser.add_argument("--tokens", type=int, default=16384)
    parser.add_argument("--slices", type=int, default=8)
    options = parser.parse_args()
    if torch.cuda.device_count() < 2:
        print(f"two GPUs are needed, {torch.cuda.device_count()} found", file=sys.stderr)
        return 3
    exchange = Exchange(options.tokens, options.slices)
    megabytes = exchange.buffer.nbytes / 1e6
    results = {"schema_version": 1, "device": torch.cuda.get_device_name(0), "hidden": HIDDEN,
               "peer_access": torch.cuda.can_device_access_peer(0, 1), "tokens": options.tokens,
               "slices": len(exchange.slices), "megabytes": megabytes, "ways": {}}
    expected = None
    with torch.inference_mode():
        for way in (norm_copy_send, norm_send, overlapped):
            took = measure(way, exchange)
            arrived = exchange.arrived.cpu()
            expected = arrived if expected is None else expected
            results["ways"][way.__name__] = {"ms": round(took, 4),
                                             "gb_per_s": round(megabytes / took, 1),
                                             "same_bits": torch.equal(arrived, expected)}
        results["timeline_us"] = timeline(exchange)
    print(json.dumps({k: v for k, v in results.items() if k != "timeline_us"}, indent=1))
    draw(results["timeline_us"])
    if options.out:
        pathlib.Path(options.out).write_text(json.dumps(results, indent=1))
    return 0 if all(way["same_bits"] for way in results["ways"].values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
