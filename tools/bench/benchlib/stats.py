# SPDX-License-Identifier: Apache-2.0
"""Medians and paired bootstrap intervals, in plain Python so that reports need no packages."""

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


def ratio_interval(ours, theirs, seed=20):
    """(ratio of medians, lower, upper) with a 95 % bootstrap interval; rounds are paired."""
    count = min(len(ours), len(theirs))
    ours, theirs = ours[:count], theirs[:count]
    draw = random.Random(seed)
    ratios = []
    for _ in range(RESAMPLES):
        picks = draw.choices(range(count), k=count)
        ratios.append(median([ours[i] for i in picks]) / median([theirs[i] for i in picks]))
    ratios.sort()
    tail = int(0.025 * RESAMPLES)
    return median(ours) / median(theirs), ratios[tail], ratios[RESAMPLES - 1 - tail]
