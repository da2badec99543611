# SPDX-License-Identifier: Apache-2.0
"""What a results file names of the machine and of this tree. Needs no torch; what cannot be told is
empty."""

import contextlib
import os
import subprocess

from . import cuda


def gpu_name():
    """Of the device that torch takes by default."""
    with contextlib.suppress(OSError, cuda.CudaError):
        return cuda.device_name()
    return ""


def facts(nvrtc):
    """The driver, the NVRTC at this path, and the clocks."""
    out = {"driver": nvidia_smi(["driver_version"]).get("driver_version", ""), "clocks": clocks()}
    with contextlib.suppress(OSError, cuda.CudaError):
        out["driver"] = f"{out['driver']} (CUDA {cuda.driver_version()})".strip()
    with contextlib.suppress(OSError):
        out["nvrtc"] = cuda.Nvrtc(nvrtc).version() if nvrtc else ""
    return out


def nvidia_smi(fields):
    try:
        text = subprocess.run(
            ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout
        return dict(zip(fields, (value.strip() for value in text.splitlines()[0].split(","))))
    except (OSError, subprocess.SubprocessError, IndexError):
        return {}


def clocks():
    fields = [
        "clocks.sm",
        "clocks.mem",
        "clocks.max.sm",
        "clocks.max.mem",
        "power.draw",
        "temperature.gpu",
    ]
    return nvidia_smi(fields)


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
