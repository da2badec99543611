# SPDX-License-Identifier: Apache-2.0
"""Where a run's time goes: seconds by phase."""

import contextlib
import time
from collections import defaultdict


class Phases:
    def __init__(self):
        self.seconds = defaultdict(float)

    @contextlib.contextmanager
    def __call__(self, name):
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - begin

    def rounded(self):
        return {name: round(seconds, 2) for name, seconds in self.seconds.items()}


def joined(parts, at_once):
    """One table of many processes': phases named in `at_once` ran side by side and count as long as
    the longest took, the others ran in turn and add up."""
    out = {}
    for part in parts:
        for name, seconds in part.items():
            before = out.get(name, 0.0)
            out[name] = max(before, seconds) if name in at_once else before + seconds
    return {name: round(seconds, 1) for name, seconds in out.items()}
