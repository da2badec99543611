# SPDX-License-Identifier: Apache-2.0
"""The hooks for engines, against modules of their names that hold what the engines' hold."""

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


def test_sglang_gets_its_own_rounding(engine):
    layers = engine("sglang.srt.layers.layernorm", "rmsnorm", "gemma_rmsnorm", "silu")
    assert rmsjit.sglang.patch() == ["gemma_rmsnorm", "rmsnorm"]
    assert layers.rmsnorm.func is rmsjit.rmsnorm and layers.rmsnorm.keywords == {"like": "sglang"}
    assert layers.silu is None and not hasattr(layers, "fused_add_rmsnorm")


def test_another_sglang_is_refused(engine):
    engine("sglang.srt.layers.layernorm")
    with pytest.raises(rmsjit.errors.NotFound, match="has none of rmsnorm"):
        rmsjit.sglang.patch()
