# SPDX-License-Identifier: Apache-2.0
"""patch_model() on a device: the families of test_transformers.py with the real kernels."""

import copy

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import rmsjit  # noqa: E402
import rmsjit.transformers  # noqa: E402
from test_transformers import FAMILIES, build  # noqa: E402


def rms(x):
    return x.float().pow(2).mean().sqrt().item()


def ids():
    return torch.arange(64, device="cuda").reshape(2, 32)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_move_less_than_bf16_itself_does(family):
    model = build(family).cuda()
    before = model(ids(), use_cache=False).logits
    exact = copy.deepcopy(model).float()(ids(), use_cache=False).logits
    patched = rmsjit.transformers.patch_model(model)
    rmsjit.prepare(patched.specs)
    loaded = rmsjit.stats()["loaded_kernels"]
    after = model(ids(), use_cache=False).logits
    assert rmsjit.stats()["loaded_kernels"] == loaded  # specs were all that it needs
    assert rms(after - before) <= rms(before - exact)


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_compiles_as_one_graph(family):
    model = build(family).cuda()
    rmsjit.prepare(rmsjit.transformers.patch_model(model).specs)
    expected = model(ids(), use_cache=False).logits
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    assert torch.equal(compiled(ids(), use_cache=False).logits, expected)
