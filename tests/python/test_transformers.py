# SPDX-License-Identifier: Apache-2.0
"""patch_model() on small random models of real families, on the CPU: the kernel's place is taken by
its formula, so that logits must stay bit for bit."""

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import formulas  # noqa: E402
import rmsjit  # noqa: E402
import rmsjit.transformers as patching  # noqa: E402

SMALL = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "vocab_size": 128,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
FAMILIES = {
    "llama": lambda: transformers.LlamaConfig(**SMALL),
    "qwen3": lambda: transformers.Qwen3Config(**SMALL, head_dim=32),
    "gemma3": lambda: transformers.Gemma3TextConfig(**SMALL, head_dim=32),
    "deepseek_v3": lambda: transformers.DeepseekV3Config(
        **{**SMALL, "num_key_value_heads": 4}, q_lora_rank=48, kv_lora_rank=32, qk_rope_head_dim=16,
        qk_nope_head_dim=16, v_head_dim=32, n_routed_experts=4, num_experts_per_tok=2, n_group=1,
        topk_group=1, moe_intermediate_size=32, first_k_dense_replace=1),
}
# Norms of three blocks and the final one, by family; all blocks fuse.
NORMS = {"llama": 7, "qwen3": 13, "gemma3": 19, "deepseek_v3": 13}


def build(family):
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(FAMILIES[family](), dtype=torch.bfloat16)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:  # ones or zeros would hide a wrong weight
                parameter.copy_(torch.randn(parameter.shape))
    return model.eval()


class _FormulaForm:
    """Form.run() by the engine's own formula; counts the calls of each spec."""

    def __init__(self, like, add, one_plus, layout, calls):
        self.like, self.add, self.one_plus, self.layout = like, add, one_plus, layout
        self.calls = calls

    def run(self, x, weight, residual, residual_out, out, eps, pdl):
        assert (residual is not None) == self.add and residual_out is out is pdl is None
        assert self.layout == "rows" or x.dim() < 4 or x.stride(1) >= x.stride(2)
        self.calls.append((self.add, self.layout))
        y, h = formulas.engine(self.like, x, weight, residual, eps, self.one_plus)
        return (y, h) if self.add else y


@pytest.fixture
def calls(monkeypatch):
    made = []

    class Forms(dict):
        def __missing__(self, key):
            like, add, fields, layout, _ = key
            return _FormulaForm(like, add, bool(fields), layout, made)

    monkeypatch.setattr(patching._forms, "forms", Forms())
    return made


def logits(model, **words):
    ids = torch.arange(10).reshape(2, 5)
    with torch.inference_mode():
        return model(ids, use_cache=False, **words)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_norm_is_taken_over_and_logits_stay(family, calls):
    model = build(family)
    expected = logits(model).logits
    patched = patching.patch_model(model)
    assert len(patched.norms) == NORMS[family] and not patched.left
    assert len(patched.blocks) == 3
    assert torch.equal(logits(model).logits, expected)
    assert len(calls) == NORMS[family]
    # Two adds a block, the last of them done by the final norm.
    assert sum(add for add, _ in calls) == 6
    assert sum(layout == "heads" for _, layout in calls) == (6 if "q_norm" in str(patched) else 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_specs_are_those_that_the_family_file_gives(family, calls):
    model = build(family)
    like = "hf_gemma" if family == "gemma3" else "hf_llama"
    keys = rmsjit.keys_for_model(model.config, like=like)["keys"]
    assert set(patching.patch_model(model).specs) == {key["spec_text"] for key in keys}


def test_without_fusing_only_norms_change(calls):
    model = build("qwen3")
    expected = logits(model).logits
    assert patching.patch_model(model, fuse=False).blocks == []
    assert torch.equal(logits(model).logits, expected)
    assert not any(add for add, _ in calls)


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_recorded_hidden_states_are_the_sums(family, calls):
    model = build(family)
    expected = logits(model, output_hidden_states=True).hidden_states
    patching.patch_model(model)
    given = logits(model, output_hidden_states=True).hidden_states
    assert len(given) == len(expected) == 4
    assert all(torch.equal(a, b) for a, b in zip(given, expected))


def test_greedy_decoding_is_the_same(calls):
    model = build("qwen3")
    words = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0}
    ids = torch.arange(6).reshape(2, 3)
    expected = model.generate(ids, **words)
    patching.patch_model(model)
    assert torch.equal(model.generate(ids, **words), expected)


def test_what_computes_another_formula_stays(calls):
    class OddRMSNorm(type(build("llama").model.norm)):
        def forward(self, x):
            return super().forward(x) * 2

    model = build("llama")
    model.model.norm.__class__ = OddRMSNorm
    patched = patching.patch_model(model)
    assert "OddRMSNorm computes none" in patched.left["model.norm"]
    assert patched.blocks == [] and len(patched.norms) == 6


def test_a_block_that_adds_in_another_order_is_not_rewritten(calls):
    model = build("llama")
    block = model.model.layers[1]

    class Parallel(type(block)):
        def forward(self, hidden_states, **words):
            x = self.input_layernorm(hidden_states)
            return hidden_states + self.self_attn(hidden_states=x, **words)[0] + self.mlp(
                self.post_attention_layernorm(hidden_states))

    block.__class__ = Parallel
    assert patching.patch_model(model).blocks == []


def test_a_model_without_norms_is_refused():
    with pytest.raises(rmsjit.errors.InvalidArgument, match="no RMSNorm of Linear"):
        patching.patch_model(torch.nn.Linear(2, 2))
