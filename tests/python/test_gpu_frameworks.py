# SPDX-License-Identifier: Apache-2.0
"""CuPy arrays in and out, JAX arrays as inputs only, frameworks mixed."""

import os

import pytest

torch = pytest.importorskip("torch")

import rmsjit  # noqa: E402

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


@pytest.fixture
def expected():
    x = torch.randn(8, 1024, device="cuda").half()
    w = torch.randn(1024, device="cuda").half()
    return x, w, rmsjit.rmsnorm(x, w)


def test_cupy_in_and_out(expected):
    cupy = pytest.importorskip("cupy")
    x, w, y = expected
    torch.cuda.synchronize()
    cx, cw = cupy.asarray(x.cpu().numpy()), cupy.asarray(w.cpu().numpy())
    allocated = rmsjit.rmsnorm(cx, cw)
    assert isinstance(allocated, cupy.ndarray)
    out = cupy.empty_like(cx)
    with cupy.cuda.Stream(non_blocking=True) as stream:
        assert rmsjit.rmsnorm(cx, cw, out=out) is out
        stream.synchronize()
    assert (out.get() == y.cpu().numpy()).all() and (allocated.get() == out.get()).all()
    residual = cupy.zeros_like(cx)
    rmsjit.fused_add_rmsnorm(cx, residual, cw)
    cupy.cuda.Device().synchronize()
    assert (residual.get() == x.cpu().numpy()).all()


def test_jax_is_read_and_never_written(expected):
    jax = pytest.importorskip("jax")
    x, w, y = expected
    jx, jw = jax.numpy.asarray(x.cpu().numpy()), jax.numpy.asarray(w.cpu().numpy())
    if next(iter(jx.devices())).platform != "gpu":
        pytest.skip("JAX sees no GPU")
    out = torch.empty_like(x)
    assert rmsjit.rmsnorm(jx, jw, out=out) is out
    assert torch.equal(out, y)
    with pytest.raises(rmsjit.errors.InvalidArgument, match="out="):
        rmsjit.rmsnorm(jx, jw)
    with pytest.raises(rmsjit.errors.InvalidArgument, match="only read"):
        rmsjit.rmsnorm(x, w, out=jx)
    with pytest.raises(rmsjit.errors.InvalidArgument, match="only read"):
        rmsjit.fused_add_rmsnorm(jx, out, jw)


def test_cupy_input_with_torch_output(expected):
    cupy = pytest.importorskip("cupy")
    x, w, y = expected
    out = torch.empty_like(x)
    rmsjit.rmsnorm(cupy.asarray(x.cpu().numpy()), w, out=out)
    assert torch.equal(out, y)
