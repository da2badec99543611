# SPDX-License-Identifier: Apache-2.0
"""The hooks for engines, against modules of their names that hold what the engines' hold."""

import inspect
import sys
import types

import pytest

import rmsjit
import rmsjit.sglang
import rmsjit.vllm_plugin


@pytest.fixture
def engine(monkeypatch):
    def make(name, *functions):
        parts = name.split(".")
        for i in range(1, len(parts) + 1):
            module = types.ModuleType(".".join(parts[:i]))
            module.__path__ = []
            monkeypatch.setitem(sys.modules, module.__name__, module)
        vars(module).update(dict.fromkeys(functions))
        return module

    return make


def test_vllm_keeps_its_norms_unless_asked(engine, monkeypatch):
    ops = engine("vllm._custom_ops", "rms_norm", "fused_add_rms_norm")
    monkeypatch.delenv("RMSJIT_VLLM", raising=False)
    rmsjit.vllm_plugin.register()
    assert ops.rms_norm is None
    monkeypatch.setenv("RMSJIT_VLLM", "1")
    rmsjit.vllm_plugin.register()
    assert ops.rms_norm is rmsjit.vllm.rms_norm
    assert ops.fused_add_rms_norm is rmsjit.vllm.fused_add_rms_norm


def test_another_vllm_is_refused_whole(engine, monkeypatch):
    ops = engine("vllm._custom_ops", "rms_norm")
    monkeypatch.setenv("RMSJIT_VLLM", "1")
    with pytest.raises(rmsjit.errors.NotFound, match="no fused_add_rms_norm"):
        rmsjit.vllm_plugin.register()
    assert ops.rms_norm is None


class IrOperator:
    """Takes implementations under the conditions of vLLM's vllm.ir.op.IrOp."""

    def __init__(self, native):
        from torch.library import infer_schema

        self.schema, self.native, self.impls = infer_schema, native, {}

    def register_impl(self, provider, *, supported=True, supports_args=None, inplace=False):
        def register(implementation):
            assert provider not in self.impls
            schemas = [self.schema(f, mutates_args=[]) for f in (implementation, self.native)]
            assert schemas[0] == schemas[1]
            parameters = inspect.signature(supports_args).parameters.values()
            assert len(parameters) == len(inspect.signature(self.native).parameters)
            assert all(p.kind is not p.KEYWORD_ONLY for p in parameters)
            self.impls[provider] = (implementation, supports_args, supported, inplace)

        return register


@pytest.fixture
def ir(engine, monkeypatch):
    Tensor = pytest.importorskip("torch").Tensor

    def rms_norm(x: Tensor, weight: Tensor | None, epsilon: float,
                 variance_size: int | None = None) -> Tensor:
        ...

    def fused_add_rms_norm(x: Tensor, x_residual: Tensor, weight: Tensor | None, epsilon: float,
                           variance_size: int | None = None) -> tuple[Tensor, Tensor]:
        ...

    ops = engine("vllm.ir.ops")
    ops.rms_norm, ops.fused_add_rms_norm = IrOperator(rms_norm), IrOperator(fused_add_rms_norm)
    monkeypatch.setenv("RMSJIT_VLLM", "1")
    return ops


def test_a_vllm_with_ir_gets_a_provider_once(ir, monkeypatch):
    rmsjit.vllm_plugin.register()
    rmsjit.vllm_plugin.register()
    plain, fused = ir.rms_norm.impls["rmsjit"], ir.fused_add_rms_norm.impls["rmsjit"]
    assert plain[2:] == (True, False) and fused[2:] == (True, True)
    import torch

    x, weight, calls = torch.ones(2, 8), torch.ones(8), []
    monkeypatch.setattr(rmsjit.vllm, "rms_norm", lambda *args: calls.append(args))
    monkeypatch.setattr(rmsjit.vllm, "fused_add_rms_norm", lambda *args: calls.append(args))
    out = plain[0](x, weight, 1e-5)
    assert calls.pop() == (out, x, weight, 1e-5) and out is not x and out.shape == x.shape
    residual = torch.ones(2, 8)
    assert fused[0](x, residual, weight, 1e-5) == (x, residual)
    assert calls.pop() == (x, residual, weight, 1e-5)


def test_vllms_provider_takes_what_its_cuda_kernels_take(ir):
    import torch

    rmsjit.vllm_plugin.register()
    x, weight = torch.ones(2, 8, dtype=torch.bfloat16), torch.ones(8, dtype=torch.bfloat16)
    plain, fused = ir.rms_norm.impls["rmsjit"][1], ir.fused_add_rms_norm.impls["rmsjit"][1]
    assert plain(x, weight, 1e-5, None) and plain(x, None, 1e-5, None)
    assert not plain(x, weight, 1e-5, 4) and not plain(x, weight.float(), 1e-5, None)
    assert fused(x, x, weight, 1e-5, None) and not fused(x, x, weight.float(), 1e-5, None)


def test_a_vllm_with_another_ir_is_refused(engine, monkeypatch):
    pytest.importorskip("torch")
    engine("vllm.ir.ops", "rms_norm")
    monkeypatch.setenv("RMSJIT_VLLM", "1")
    with pytest.raises(rmsjit.errors.NotFound, match="vllm.ir.ops has no fused_add_rms_norm"):
        rmsjit.vllm_plugin.register()


def test_the_entry_point_is_in_the_group_that_vllm_reads():
    from importlib.metadata import entry_points

    (plugin,) = [p for p in entry_points(group="vllm.general_plugins") if p.name == "rmsjit"]
    assert plugin.load() is rmsjit.vllm_plugin.register


def test_sglang_gets_its_own_rounding(engine):
    layers = engine("sglang.srt.layers.layernorm", "rmsnorm", "gemma_rmsnorm", "silu")
    assert rmsjit.sglang.patch() == ["gemma_rmsnorm", "rmsnorm"]
    assert layers.rmsnorm.func is rmsjit.rmsnorm and layers.rmsnorm.keywords == {"like": "sglang"}
    assert layers.silu is None and not hasattr(layers, "fused_add_rmsnorm")


def test_sglangs_calls_fit_the_signatures():
    for name in ("rmsnorm", "gemma_rmsnorm"):  # norm(x, weight, eps)
        bound = inspect.signature(getattr(rmsjit, name)).bind("x", "weight", 1e-6)
        assert list(bound.arguments) == ["input", "weight", "eps"]
    for name in ("fused_add_rmsnorm", "gemma_fused_add_rmsnorm"):  # norm(x, residual, weight, eps)
        bound = inspect.signature(getattr(rmsjit, name)).bind("x", "residual", "weight", 1e-6)
        assert list(bound.arguments) == ["input", "residual", "weight", "eps"]


def test_another_sglang_is_refused(engine):
    engine("sglang.srt.layers.layernorm")
    with pytest.raises(rmsjit.errors.NotFound, match="has none of rmsnorm"):
        rmsjit.sglang.patch()
