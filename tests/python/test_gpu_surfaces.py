# SPDX-License-Identifier: Apache-2.0
"""FlashInfer's and vLLM's functions, the general call, shapes, outputs and errors on a device."""

import pytest

torch = pytest.importorskip("torch")

import formulas  # noqa: E402
import rmsjit  # noqa: E402

BF16 = torch.bfloat16


def randn(*shape, dtype=BF16):
    return torch.randn(*shape, device="cuda").to(dtype)


def close(y, expected):
    return torch.allclose(y.float(), expected.float(), rtol=1.6e-2, atol=1e-2)


def test_flashinfer_rmsnorm_allocates_or_writes_out():
    x, w = randn(99, 4096), randn(4096)
    y = rmsjit.rmsnorm(x, w)
    out = torch.empty_like(x)
    assert rmsjit.rmsnorm(x, w, 1e-6, out) is out
    assert torch.equal(y, out)
    assert close(y, formulas.engine("flashinfer", x, w)[0])


@pytest.mark.parametrize("pdl", [None, True, False])
def test_pdl_does_not_change_bits(pdl):
    x, w = randn(19, 1024), randn(1024)
    assert torch.equal(rmsjit.rmsnorm(x, w, enable_pdl=pdl), rmsjit.rmsnorm(x, w))


@pytest.mark.parametrize("gemma", [False, True])
def test_fused_add_writes_in_place_or_where_it_is_told(gemma):
    function = rmsjit.gemma_fused_add_rmsnorm if gemma else rmsjit.fused_add_rmsnorm
    x, r, w = randn(33, 4096), randn(33, 4096), randn(4096)
    expected, h = formulas.engine("flashinfer", x, w, r, one_plus=gemma)
    x1, r1 = x.clone(), r.clone()
    assert function(x1, r1, w) is None
    assert close(x1, expected) and torch.equal(r1, h)
    x2, r2, out, residual_out = x.clone(), r.clone(), torch.empty_like(x), torch.empty_like(r)
    function(x2, r2, w, out=out, residual_out=residual_out)
    assert torch.equal(out, x1) and torch.equal(residual_out, r1)
    assert torch.equal(x2, x) and torch.equal(r2, r)


def test_gemma_rmsnorm():
    x, w = randn(7, 2304), randn(2304)
    assert close(rmsjit.gemma_rmsnorm(x, w), formulas.engine("hf_gemma", x, w, one_plus=True)[0])


def test_vllm_argument_order():
    x, r, w = randn(5, 4096), randn(5, 4096), randn(4096)
    out = torch.empty_like(x)
    assert rmsjit.vllm.rms_norm(out, x, w, 1e-6) is None
    assert close(out, formulas.engine("vllm_cuda", x, w)[0])
    expected, h = formulas.engine("vllm_cuda", x, w, r)
    assert rmsjit.vllm.fused_add_rms_norm(x, r, w, 1e-6) is None
    assert close(x, expected) and torch.equal(r, h)


def test_general_call_returns_both_outputs():
    x, r, w = randn(5, 640), randn(5, 640, dtype=torch.float32), randn(640, dtype=torch.float32)
    y, h = rmsjit.norm(x, w, r, residual_placement="out_of_place")
    assert torch.equal(h, x.float() + r)
    assert close(y, formulas.engine("rmsjit", h, w)[0])
    assert rmsjit.norm(x, None).shape == x.shape


def test_out_of_another_dtype():
    x, w = randn(5, 640), randn(640)
    out = torch.empty(5, 640, device="cuda")
    rmsjit.norm(x, w, out=out)
    assert torch.equal(out.to(BF16), rmsjit.norm(x, w))


@pytest.mark.parametrize("layout", [None, "rows", "heads"])
@pytest.mark.parametrize("shape", [(2, 3, 5, 128), (6, 5, 128), (30, 128), (128,)])
def test_any_rank_gives_the_bits_of_rows(shape, layout):
    x, w = randn(*shape), randn(128)
    expected = rmsjit.norm(x.reshape(-1, 128), w)
    assert torch.equal(rmsjit.norm(x, w, layout=layout).reshape(-1, 128), expected)


def test_slices_of_a_qkv_buffer():
    qkv, w = randn(17, 32 + 8 + 8, 128), randn(128)
    before = qkv.clone()
    q = qkv[:, :32]
    expected = rmsjit.rmsnorm(q.contiguous().view(-1, 128), w)
    rmsjit.rmsnorm(q, w, out=q)
    assert torch.equal(q.reshape(-1, 128), expected)
    assert torch.equal(qkv[:, 32:], before[:, 32:])


def test_no_rows():
    x, r, w = randn(0, 4096), randn(0, 4096), randn(4096)
    assert rmsjit.rmsnorm(x, w).shape == (0, 4096)
    rmsjit.fused_add_rmsnorm(x, r, w)


def test_the_current_stream_is_used():
    x, w = randn(4096, 8192), randn(8192)
    expected = rmsjit.rmsnorm(x, w)
    side = torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(side):
        late = torch.zeros_like(x)
        torch.cuda._sleep(20_000_000)
        late.copy_(x)
        y = rmsjit.rmsnorm(late, w)
    side.synchronize()
    assert torch.equal(y, expected)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one device only")
def test_another_device_than_the_current_one():
    x, w = randn(8, 4096), randn(4096)
    y = rmsjit.rmsnorm(x.to("cuda:1"), w.to("cuda:1"))
    assert torch.equal(y.cpu(), rmsjit.rmsnorm(x, w).cpu())
    with pytest.raises(rmsjit.errors.InvalidArgument, match="device"):
        rmsjit.rmsnorm(x, w.to("cuda:1"))


@pytest.mark.parametrize("call, message", [
    (lambda x, w: rmsjit.rmsnorm(x, w[:5]), "weight"),
    (lambda x, w: rmsjit.rmsnorm(x, w, out=x[:2]), "shape"),
    (lambda x, w: rmsjit.rmsnorm(x.int(), w), "dtype"),
    (lambda x, w: rmsjit.rmsnorm(x.cpu(), w.cpu()), "CUDA"),
    (lambda x, w: rmsjit.rmsnorm(x.t()[:4096], w[:8]), "stride"),
    (lambda x, w: rmsjit.rmsnorm(x, w, eps=-1.0), "eps"),
    (lambda x, w: rmsjit.rmsnorm([1.0], w), "no array"),
    (lambda x, w: rmsjit.norm(x, w, layout="diagonal"), "layout"),
    (lambda x, w: rmsjit.norm(x, w, mul_round="thrice"), "thrice"),
])
def test_a_wrong_argument_is_named(call, message):
    with pytest.raises(rmsjit.errors.InvalidArgument, match=message):
        call(randn(8, 4096), randn(4096))


def test_overlap_is_refused():
    memory, w = randn(9, 4096), randn(4096)
    with pytest.raises(rmsjit.errors.InvalidArgument):
        rmsjit.rmsnorm(memory[:8], w, out=memory[1:])


def test_an_unknown_profile_is_named():
    with pytest.raises(rmsjit.errors.InvalidArgument, match="no_engine"):
        rmsjit.rmsnorm(randn(1, 64), randn(64), like="no_engine")


def test_grad_is_a_clear_error():
    x, w = randn(4, 512), torch.nn.Parameter(randn(512))
    with pytest.raises(rmsjit.errors.AutogradError, match="no backward"):
        rmsjit.rmsnorm(x, w)
    with torch.no_grad():
        assert rmsjit.rmsnorm(x, w).shape == x.shape
    with torch.inference_mode():
        assert rmsjit.rmsnorm(x, w).shape == x.shape


def test_prepare_reports_and_a_capture_replays():
    facts = rmsjit.prepare(["hidden=1152,x=bf16,pdl=auto"])
    assert facts[0]["origin"] in ("compiled", "cache", "bundle")
    x, w, y = randn(16, 1152), randn(1152), torch.empty(16, 1152, dtype=BF16, device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        rmsjit.rmsnorm(x, w, 1e-6, y)
    x.copy_(randn(16, 1152))
    graph.replay()
    assert torch.equal(y, rmsjit.rmsnorm(x, w))


def test_a_cold_key_in_a_capture_is_not_prepared_and_the_capture_survives():
    x, w = randn(16, 1153), randn(1153)
    a = torch.zeros(4, device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        with pytest.raises(rmsjit.errors.NotPrepared, match="hidden=1153"):
            rmsjit.rmsnorm(x, w, out=x)
        a += 1
    graph.replay()
    assert a[0] == 1
