# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the Python tests. Files named test_gpu_* need a device: without one they are skipped
and say so, and fail under RMSJIT_REQUIRE_GPU=1."""

import os

import pytest


def _no_gpu():
    try:
        import torch
    except ImportError:
        return "torch is not installed"
    return None if torch.cuda.is_available() else "no CUDA device"


def pytest_collection_modifyitems(items):
    needing = [i for i in items if i.path.name.startswith("test_gpu")]
    reason = _no_gpu() if needing else None
    if reason is None:
        return
    if os.environ.get("RMSJIT_REQUIRE_GPU") == "1":
        pytest.exit(f"RMSJIT_REQUIRE_GPU=1 and {reason}", returncode=1)
    for item in needing:
        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def inference(request):
    """Every device test runs as an engine does, unless it asks for gradients."""
    if not request.node.path.name.startswith("test_gpu") or "grad" in request.node.name:
        yield
        return
    import torch

    with torch.inference_mode():
        yield
