# SPDX-License-Identifier: Apache-2.0
"""The registered operators: opcheck, torch.compile without breaks or copies, fake tensors."""

import pytest

torch = pytest.importorskip("torch")

import rmsjit  # noqa: E402


def randn(*shape):
    return torch.randn(*shape, device="cuda").bfloat16()


def arguments(letters):
    like = "like=rmsjit" if "r" not in letters else "like=rmsjit,residual=add"
    shapes = {"x": (8, 512), "w": (512,), "r": (8, 512), "s": (8, 512), "o": (8, 512)}
    return tuple(randn(*shapes[letter]) for letter in letters) + (1e-6, like)


def operator_names():
    from rmsjit import _torch_ops

    return sorted(_torch_ops._OPERATORS)


NAMES = ["add_norm_", "add_norm_out", "add_norm_residual_", "add_norm_x_", "norm", "norm_",
         "norm_out"]


def test_every_operator_is_checked_below():
    assert operator_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_opcheck_of_grad_free_arguments(name):
    from rmsjit import _torch_ops

    with torch.no_grad():
        torch.library.opcheck(getattr(torch.ops.rmsjit, name).default,
                              arguments(_torch_ops._OPERATORS[name][1]))


CALLS = {
    "rmsnorm": lambda x, r, w, o: rmsjit.rmsnorm(x, w, 1e-5),
    "rmsnorm_out": lambda x, r, w, o: rmsjit.rmsnorm(x, w, 1e-5, out=o),
    "gemma": lambda x, r, w, o: rmsjit.gemma_rmsnorm(x, w, 1e-5),
    "fused": lambda x, r, w, o: rmsjit.fused_add_rmsnorm(x, r, w, 1e-5),
    "fused_out": lambda x, r, w, o: rmsjit.fused_add_rmsnorm(x, r, w, 1e-5, out=o),
    "vllm": lambda x, r, w, o: rmsjit.vllm.rms_norm(o, x, w, 1e-5),
    "vllm_fused": lambda x, r, w, o: rmsjit.vllm.fused_add_rms_norm(x, r, w, 1e-5),
    "norm": lambda x, r, w, o: rmsjit.norm(x, w, r, like="hf_llama", eps=1e-5),
    "norm_fields": lambda x, r, w, o: rmsjit.norm(x, w, pdl="off", root="exact", layout="rows"),
}


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
@pytest.mark.parametrize("name", CALLS)
def test_compiles_whole_and_gives_the_same_bits(name, backend):
    if backend == "inductor" and name not in ("rmsnorm", "fused", "norm"):
        pytest.skip("inductor is tried on three calls, aot_eager on all")
    call = CALLS[name]
    given = randn(8, 512), randn(8, 512), randn(512), randn(8, 512)
    eager_given = tuple(t.clone() for t in given)
    eager = call(*eager_given)
    torch._dynamo.reset()
    compiled = torch.compile(call, fullgraph=True, backend=backend)(*given)
    as_list = lambda r: [r] if isinstance(r, torch.Tensor) else list(r or ())  # noqa: E731
    for a, b in zip([*as_list(eager), *eager_given], [*as_list(compiled), *given], strict=True):
        assert torch.equal(a, b)


def kernels_of(function):
    function()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        function()
        torch.cuda.synchronize()
    return [e.name for e in profile.events() if e.device_type == torch.autograd.DeviceType.CUDA]


@pytest.mark.parametrize("name", ["rmsnorm_out", "fused", "norm"])
def test_compiled_code_makes_no_copy(name):
    given = randn(8, 512), randn(8, 512), randn(512), randn(8, 512)
    torch._dynamo.reset()
    compiled = torch.compile(CALLS[name], fullgraph=True)
    names = kernels_of(lambda: compiled(*given))
    assert len(names) == 1 and "rmsnorm" in names[0], names


def test_fake_tensors_reach_the_operators():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        x, w = torch.empty(4, 512, device="cuda"), torch.empty(512, device="cuda")
        y = rmsjit.rmsnorm(x, w)
        assert y.shape == x.shape
        assert rmsjit.fused_add_rmsnorm(x, torch.empty_like(x), w) is None


def test_grad_under_compile_is_a_clear_error():
    x, w = randn(4, 512), torch.nn.Parameter(randn(512))
    torch._dynamo.reset()
    with pytest.raises(Exception, match="no backward"):
        torch.compile(lambda a, b: rmsjit.rmsnorm(a, b), fullgraph=True, backend="aot_eager")(x, w)


def test_a_cuda_graph_of_a_compiled_function():
    x, w, y = randn(8, 512), randn(512), randn(8, 512)
    torch._dynamo.reset()
    compiled = torch.compile(CALLS["rmsnorm_out"], fullgraph=True)
    compiled(x, x, w, y)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        compiled(x, x, w, y)
    x.copy_(randn(8, 512))
    graph.replay()
    assert torch.equal(y, rmsjit.rmsnorm(x, w, 1e-5))
