# SPDX-License-Identifier: Apache-2.0
"""Medians and paired bootstrap intervals, in plain Python so that reports need no packages."""

import functools
import math
import random

RESAMPLES = 400


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return 0.5 * (ordered[middle - 1] + ordered[middle])


def geomean(values):
    values = list(values)
    return math.exp(sum(math.log(v) for v in values) / len(values)) if values else float("nan")


@functools.lru_cache(maxsize=None)
def picks(count, seed=20):
    """The rounds that each resample draws: the same for all, so that rounds are paired."""
    draw = random.Random(seed)
    return [draw.choices(range(count), k=count) for _ in range(RESAMPLES)]


@functools.lru_cache(maxsize=4096)
def resampled(values):
    """The median of each resample; kept, because an entry is in many ratios."""
    return [median([values[i] for i in chosen]) for chosen in picks(len(values))]


def ratio_interval(ours, theirs):
    """(ratio of medians, lower, upper) with a 95 % bootstrap interval; rounds are paired."""
    count = min(len(ours), len(theirs))
    ours, theirs = tuple(ours[:count]), tuple(theirs[:count])
    ratios = sorted(a / b for a, b in zip(resampled(ours), resampled(theirs)))
    tail = int(0.025 * RESAMPLES)
    return median(ours) / median(theirs), ratios[tail], ratios[RESAMPLES - 1 - tail]
