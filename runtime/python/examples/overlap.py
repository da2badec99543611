#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Norms that write into a communication buffer: each slice of tokens is normalised straight into
its place in the buffer, while the slice before it travels to another GPU on a second stream. Beside
it what is done without out=: norm into memory of its own, copy into the buffer, send.

    python3 overlap.py [--out FILE.json] [--tokens 16384] [--slices 8]

Needs two GPUs; exits 3 where there are fewer."""

import argparse
import json
import pathlib
import statistics
import sys

import torch

import rmsjit

HIDDEN, ROUNDS = 8192, 30


class Exchange:
    """The tensors of one exchange, and the stream that sends."""

    def __init__(self, tokens):
        self.x, self.residual = (torch.randn(tokens, HIDDEN, device="cuda:0").bfloat16()
                                 for _ in range(2))
        self.sums = torch.empty_like(self.x)
        self.weight = torch.randn(HIDDEN, device="cuda:0").bfloat16()
        self.buffer = torch.empty_like(self.x)
        self.arrived = torch.empty_like(self.x, device="cuda:1")
        self.sending = torch.cuda.Stream("cuda:0")

    def norm(self, rows, out):
        rmsjit.norm(self.x[rows], self.weight, self.residual[rows], residual_out=self.sums[rows],
                    out=out)

    def send(self, rows):
        self.arrived[rows].copy_(self.buffer[rows], non_blocking=True)


def norm_copy_send(exchange, slices, mark):
    everything = slice(None)
    y = torch.empty_like(exchange.x)
    exchange.norm(everything, y)
    exchange.buffer.copy_(y)
    exchange.send(everything)


def norm_send(exchange, slices, mark):
    everything = slice(None)
    exchange.norm(everything, exchange.buffer)
    exchange.send(everything)


def overlapped(exchange, slices, mark):
    computing, sending = torch.cuda.current_stream(), exchange.sending
    sending.wait_stream(computing)
    for rows in slices:
        mark("norm", computing)
        exchange.norm(rows, exchange.buffer[rows])
        mark("norm", computing)
        sending.wait_stream(computing)
        with torch.cuda.stream(sending):
            mark("send", sending)
            exchange.send(rows)
            mark("send", sending)
    computing.wait_stream(sending)


def nothing(*_):
    pass


def measure(way, exchange, slices):
    """Median milliseconds of one exchange."""
    times = []
    for _ in range(ROUNDS + 3):
        exchange.arrived.zero_()
        torch.cuda.synchronize(0)
        torch.cuda.synchronize(1)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        way(exchange, slices, nothing)
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    torch.cuda.synchronize(1)
    return statistics.median(times[3:])


def timeline(exchange, slices):
    """[what, begin, end] in microseconds of each norm and each send of one overlapped exchange."""
    events = {"norm": [], "send": []}

    def mark(what, stream):
        event = torch.cuda.Event(enable_timing=True)
        event.record(stream)
        events[what].append(event)

    overlapped(exchange, slices, mark)
    torch.cuda.synchronize(0)
    first = events["norm"][0]
    micros = {what: [round(first.elapsed_time(e) * 1000, 1) for e in list_]
              for what, list_ in events.items()}
    return [[what, *times[i:i + 2]] for i in range(0, 2 * len(slices), 2)
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
    exchange = Exchange(options.tokens)
    step = -(-options.tokens // options.slices)
    slices = [slice(first, first + step) for first in range(0, options.tokens, step)]
    megabytes = exchange.buffer.nbytes / 1e6
    results = {"schema_version": 1, "device": torch.cuda.get_device_name(0), "hidden": HIDDEN,
               "peer_access": torch.cuda.can_device_access_peer(0, 1), "tokens": options.tokens,
               "slices": len(slices), "megabytes": megabytes, "ways": {}}
    expected = None
    with torch.inference_mode():
        for way in (norm_copy_send, norm_send, overlapped):
            took = measure(way, exchange, slices)
            arrived = exchange.arrived.cpu()
            expected = arrived if expected is None else expected
            results["ways"][way.__name__] = {"ms": round(took, 4),
                                             "gb_per_s": round(megabytes / took, 1),
                                             "same_bits": torch.equal(arrived, expected)}
        results["timeline_us"] = timeline(exchange, slices)
    print(json.dumps({k: v for k, v in results.items() if k != "timeline_us"}, indent=1))
    draw(results["timeline_us"])
    if options.out:
        pathlib.Path(options.out).write_text(json.dumps(results, indent=1))
    return 0 if all(way["same_bits"] for way in results["ways"].values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
