# SPDX-License-Identifier: Apache-2.0
"""What a caller who mistypes a call reads: one sentence with the argument's name as the caller
wrote it, what was given and what is allowed. Without a device."""

import math

import pytest

import rmsjit
from fake_arrays import FakeArray, ImmutableArray
from rmsjit import errors
from test_package import needs_stub

X, W = FakeArray(4, 64), FakeArray(64)


def has(argument):
    """The sentence of an argument begins with its name."""
    return f"^{argument}"


@pytest.mark.parametrize("call, message", [
    (lambda: rmsjit.rmsnorm(X, FakeArray(65)), has(r"weight has the shape \[65\]: \[64\] is needed")),
    (lambda: rmsjit.rmsnorm(X, FakeArray(2, 64)), has(r"weight has the shape \[2, 64\]")),
    (lambda: rmsjit.rmsnorm(X, W, out=FakeArray(5, 64)),
     has(r"out has the shape \[5, 64\] and input \[4, 64\]: the same is needed")),
    (lambda: rmsjit.norm(X, W, out=FakeArray(1, 4, 64)),
     has(r"out has the shape \[1, 4, 64\] and x \[4, 64\]")),
    (lambda: rmsjit.fused_add_rmsnorm(X, FakeArray(4, 65), W), has(r"residual has .*\[4, 65\]")),
    (lambda: rmsjit.rmsnorm(FakeArray(4, 64, dtype="f64"), W), has("input has the dtype float64")),
    (lambda: rmsjit.norm(FakeArray(4, 64, dtype="i32"), W), has("x has .*int32: bf16, f16 and f32")),
    (lambda: rmsjit.rmsnorm(X, FakeArray(64, dtype="f64")), has("weight has the dtype float64")),
    (lambda: rmsjit.rmsnorm(FakeArray(4, 64, cuda=False), W), has("input is on the CPU: move")),
    (lambda: rmsjit.rmsnorm(FakeArray(4, 64, strides=[128, 2]), W), has("input has stride 2")),
    (lambda: rmsjit.rmsnorm(X, FakeArray(64, device=1)), has("weight is on device 1")),
    (lambda: rmsjit.rmsnorm(X, W, out=ImmutableArray(4, 64)),
     has("out is a <class '.*ImmutableArray'>, which is only read")),
    (lambda: rmsjit.rmsnorm(ImmutableArray(4, 64), W), "array like input, .*: give out=, a torch"),
    (lambda: rmsjit.rmsnorm("text", W), has("input is a <class 'str'>, which is no array")),
    (lambda: rmsjit.rmsnorm(None, W), has("input is a <class 'NoneType'>, which is no array")),
    (lambda: rmsjit.vllm.rms_norm(X, X, [1.0], 1e-6), has("weight is a <class 'list'>")),
    (lambda: rmsjit.fused_add_rmsnorm(X, None, W), has("residual is None: an array")),
    (lambda: rmsjit.vllm.fused_add_rms_norm(X, None, W, 1e-6), has("residual is None: an array")),
    (lambda: rmsjit.norm(X, residual_out=X), has("residual is None and residual_out is given")),
    (lambda: rmsjit.rmsnorm(X, W, like="flashinfr"), has("like='flashinfr': rmsjit, flashinfer, ")),
    (lambda: rmsjit.rmsnorm(X, W, like=None), has("like=None: rmsjit, ")),
    (lambda: rmsjit.norm(X, layout="columns"), "columns"),
    (lambda: rmsjit.norm(X, W, pdl="maybe"), has('pdl="maybe" is not allowed: use off, on, auto')),
    (lambda: rmsjit.norm(X, W, y="f32"), has("y='f32': a call may set weight_form, .*arrays")),
    (lambda: rmsjit.norm(X, W, hidden=32), has("hidden=32: a call may set")),
    (lambda: rmsjit.norm(X, W, enable_pdl=True), has("enable_pdl=True: a call may set .*pdl")),
    (lambda: rmsjit.norm(FakeArray(2, 3, 5, 64, strides=[9999, 700, 65, 1])), "do not collapse"),
    (lambda: rmsjit.prepare(5), has("specs_or_keys: a spec text")),
    (lambda: rmsjit.prepare({"hidden": 4096}), has("specs_or_keys: a spec text")),
    (lambda: rmsjit.prepare("hidden=64,x=bf17"), has('x="bf17" is not allowed: use bf16')),
    (lambda: rmsjit.prepare("hidden=64", device="cuda:0"), has("device='cuda:0': the index")),
    (lambda: rmsjit.prepare("hidden=64", device=-1), has("device=-1: the index")),
    (lambda: rmsjit.prepare("hidden=64", timeout=0), has("timeout=0: seconds above 0")),
    (lambda: rmsjit.prepare("hidden=64", timeout=math.nan), has("timeout=nan: seconds")),
    (lambda: rmsjit.prepare("hidden=64", timeout="3"), has("timeout='3': seconds")),
    (lambda: rmsjit.prepare("hidden=64", timeout=1e10), has("timeout=10000000000.0: seconds")),
    (lambda: rmsjit.configure(jit="maybe"), has("jit='maybe': on, warn, off are allowed")),
    (lambda: rmsjit.configure(require_signature=True), has("require_signature=True: on, off")),
])
def test_a_wrong_value_is_named(call, message):
    with pytest.raises(errors.InvalidArgument, match=message):
        call()


@needs_stub
@pytest.mark.parametrize("call, message", [
    (lambda: rmsjit.rmsnorm(X, W, float("nan")), "eps"),
    (lambda: rmsjit.rmsnorm(X, W, -1.0), "eps"),
    (lambda: rmsjit.rmsnorm(X, W, out=FakeArray(4, 64, at=X.at + 128)), "y.*overlap"),
    (lambda: rmsjit.rmsnorm(X, W, out=FakeArray(4, 64, strides=[32, 1])), "y_token_stride"),
    (lambda: rmsjit.fused_add_rmsnorm(X, X, W), "residual"),
    (lambda: rmsjit.fused_add_rmsnorm(X, FakeArray(4, 64, dtype="f16"), W), "residual_dtype"),
    (lambda: rmsjit.norm(FakeArray(4, 64, at=X.at + 1), W), "align"),
])
def test_what_the_library_refuses_keeps_its_sentence(call, message):
    with pytest.raises(errors.InvalidArgument, match=message):
        call()


@pytest.mark.parametrize("call, message", [
    (lambda: rmsjit.rmsnorm(X), "'weight'"),
    (lambda: rmsjit.rmsnorm(X, W, epsilon=1e-5), "'epsilon'"),
    (lambda: rmsjit.rmsnorm(X, W, eps="small"), has("eps is a <class 'str'>: a number")),
    (lambda: rmsjit.vllm.rms_norm(X, X, 1e-6, W), has("eps is a .*FakeArray'>: a number")),
    (lambda: rmsjit.rmsnorm(X, W, 1e-6, X, "no"), has("enable_pdl is a <class 'str'>: True, False")),
    (lambda: rmsjit.fused_add_rmsnorm(X, X, W, 1e-6, X), has("enable_pdl is a .*FakeArray")),
    (lambda: rmsjit.precompile("hidden=64", 90), "precompile.* 2 must be str"),
    (lambda: rmsjit.keys_for_model(5), "PathLike"),
    (lambda: rmsjit.configure(cache="x"), "'cache'"),
])
def test_a_wrong_type_is_a_type_error(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_numpy_arrays_are_told_that_they_are_on_the_cpu():
    numpy = pytest.importorskip("numpy")
    x = numpy.zeros((4, 64), numpy.float32)
    with pytest.raises(errors.InvalidArgument, match=has("input is on the CPU: move it")):
        rmsjit.rmsnorm(x, W, out=X)
    with pytest.raises(errors.InvalidArgument, match=has("out is a <class 'numpy.ndarray'>, which")):
        rmsjit.rmsnorm(X, W, out=x)


def test_cpu_tensors_are_told_that_they_are_on_the_cpu():
    torch = pytest.importorskip("torch")
    x = torch.zeros(4, 64)
    for call in (lambda: rmsjit.rmsnorm(x, x[0]), lambda: rmsjit.norm(x, x[0], out=x)):
        with pytest.raises(errors.InvalidArgument, match="(input|x) is on the CPU"):
            call()
