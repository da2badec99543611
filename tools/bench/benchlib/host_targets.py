# SPDX-License-Identifier: Apache-2.0
"""The targets of the `host` and `cold` lists: what a launch costs the host beside the driver's own,
and the first launch of a fresh process."""

from .target import Target

MOST_LAUNCH_NS = {"kernel.launch": 50, "runtime.launch": 60}
MOST_OF_RAW = 1.25
MOST_WARM_MS = 1.0


def _worst(name, wanted, figures, most):
    """figures are (figure, shown, where); each has to be at most `most`."""
    if not figures:
        return Target(name, wanted, "-", "", "no data")
    figure, shown, where = max(figures)
    return Target(name, wanted, shown, where, "pass" if figure <= most else "FAIL")


def launch_targets(host):
    out = []
    for what, most in MOST_LAUNCH_NS.items():
        figures = [
            (
                e["extra_ns"],
                f"{e['extra_ns']:.1f} ns [{e['extra_ns_lower']:.1f}, {e['extra_ns_upper']:.1f}]",
                e["spec"],
            )
            for e in host
            if e.get("what") == what
        ]
        out.append(_worst(f"{what} beside raw cuLaunchKernelEx", f"<= {most} ns", figures, most))
    return out


def cold_targets(cold):
    ours = [e for e in cold if e["impl"] == "rmsjit" and "error" not in e]
    raw = [
        (e["of_raw"], f"{e['of_raw']:.2f}x, {e['ms']:.1f} ms", f"{e['route']} {e['spec']}")
        for e in ours
        if "of_raw" in e
    ]
    warm = [
        (e["ms"], f"{e['ms']:.2f} ms", f"{e['route']} {e['spec']}")
        for e in ours
        if "of_raw" not in e and "spec" in e and e["route"] in ("disk", "bundle")
    ]
    return [
        _worst("first launch, compiled: of raw NVRTC", f"<= {MOST_OF_RAW}x", raw, MOST_OF_RAW),
        _worst("first launch, disk and bundle", f"<= {MOST_WARM_MS:.0f} ms", warm, MOST_WARM_MS),
    ]


def cold_lines(cold):
    """The `cold` list as a table: everybody's first call, slowest last."""
    measured = sorted((e for e in cold if "ms" in e), key=lambda e: e["ms"])
    lines = [
        f"  {e['impl']:<16} {e['route']:<14} {e['ms']:10.2f} ms"
        + (f"  (and {e['import_ms']:.0f} ms to import)" if "import_ms" in e else "")
        for e in measured
    ]
    return lines + [f"  {e['impl']:<16} {e['route']:<14} {e['error'][:100]}" for e in cold if "error" in e]
