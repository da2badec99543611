#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random transformers models before and after rmsjit.transformers.patch_model(), sealed from bundles.

    python3 transformers_decode.py [--out FILE.json] [--families llama,qwen3,gemma3,deepseek_v3]

Each family gets a bundle from its config (`rmsnorm-aot build`), one process opens them all with
compiling off and is sealed. Reported: how far logits move, beside how far bf16 itself is from fp32;
greedy decoding of 256 tokens eager, under a CUDA graph, and compiled by torch.compile under a
graph; the time of one step's norms and adds alone. Exit code 1: a miss, or logits past the bound."""

import argparse
import copy
import json
import pathlib
import subprocess
import tempfile
import time

import torch
import transformers

import rmsjit
import rmsjit.transformers

TOKENS = 256
SIZE = {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 8,
        "vocab_size": 32000, "num_attention_heads": 16, "num_key_value_heads": 8,
        "max_position_embeddings": 512}
# All layers dense and of full attention, so that a step may be captured.
FAMILIES = {
    "llama": lambda: transformers.LlamaConfig(**SIZE),
    "qwen3": lambda: transformers.Qwen3Config(**SIZE, head_dim=128),
    "gemma3": lambda: transformers.Gemma3TextConfig(
        **SIZE, head_dim=128, layer_types=["full_attention"] * SIZE["num_hidden_layers"]),
    "deepseek_v3": lambda: transformers.DeepseekV3Config(
        **{**SIZE, "num_key_value_heads": 16}, first_k_dense_replace=SIZE["num_hidden_layers"]),
}


def like(family):
    return "hf_gemma" if family.startswith("gemma") else "hf_llama"


def config_of(family):
    config = FAMILIES[family]()
    config.dtype = torch.bfloat16
    config.pad_token_id = None
    return config


def build_bundle(family, folder):
    """What an image build does, on a machine that needs no GPU."""
    config = folder / f"{family}.json"
    config.write_text(config_of(family).to_json_string(use_diff=False))
    arch = "sm_{}{}".format(*torch.cuda.get_device_capability())
    command = pathlib.Path(rmsjit.__file__).parent / "bin" / "rmsnorm-aot"
    subprocess.run([command, "build", "--model", config, "--like", like(family), "--arch", arch,
                    "--out", folder / family], check=True, stdout=subprocess.DEVNULL)
    return folder / family


class Decoder:
    """Greedy decoding with every buffer fixed, so that one step is one graph."""

    def __init__(self, model, device="cuda", tokens=TOKENS):
        self.model, self.tokens = model, tokens
        self.call = model
        self.cache = transformers.StaticCache(config=model.config, max_cache_len=tokens + 8)
        self.token = torch.ones(1, 1, dtype=torch.long, device=device)
        self.position = torch.zeros(1, dtype=torch.long, device=device)
        self.places = torch.arange(tokens + 8, device=device)
        self.said = torch.zeros(1, tokens, dtype=torch.long, device=device)

    def reset(self):
        self.cache.reset()
        self.token.fill_(1)
        self.position.zero_()

    def step(self):
        mask = (self.places <= self.position)[None, None, None]
        out = self.call(input_ids=self.token, attention_mask=mask, use_cache=True,
                        position_ids=self.position[None], past_key_values=self.cache)
        self.token.copy_(out.logits[:, -1].argmax(-1, keepdim=True))
        self.said.index_copy_(1, self.position, self.token)
        self.position.add_(1)

    def capture(self):
        self.warm(3)
        self.reset()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step()
        return graph.replay

    def warm(self, steps):
        self.reset()
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(steps):
                self.step()
        torch.cuda.synchronize()

    def run(self, step):
        """(tokens a second, the tokens)"""
        self.reset()
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(self.tokens):
            step()
        torch.cuda.synchronize()
        return self.tokens / (time.perf_counter() - begin), self.said.clone()


def norms_of(model):
    return [m for m in model.modules() if type(m).__name__.endswith("RMSNorm")]


def norm_microseconds(model, fused):
    """One decoded token's norms and adds alone, from a replayed graph."""
    hidden, adds = model.config.hidden_size, 2 * model.config.num_hidden_layers
    heads = {"q_norm": model.config.num_attention_heads, "k_norm": model.config.num_key_value_heads}
    work = []
    for name, norm in model.named_modules():
        if not type(norm).__name__.endswith("RMSNorm"):
            continue
        count = heads.get(name.rsplit(".", 1)[-1])
        shape = (1, 1, count, norm.weight.shape[0]) if count else (1, 1, norm.weight.shape[0])
        x = torch.randn(shape, device="cuda", dtype=torch.bfloat16)
        add = not count and shape[-1] == hidden and adds > 0
        adds -= add
        work.append((norm, x, torch.randn_like(x) if add else None))

    def once():
        for norm, x, residual in work:
            if residual is None:
                norm(x)
            elif fused:
                norm(x, residual)
            else:
                norm(x + residual)

    once()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        once()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(50):
        graph.replay()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) * 1000 / 50


def columns(model, compiled):
    """{column: tokens a second}, and the tokens of the graph column."""
    decoder = Decoder(model)
    decoder.warm(2)
    figures = {"eager": decoder.run(decoder.step)[0]}
    figures["graph"], said = decoder.run(decoder.capture())
    if compiled:
        torch.compiler.reset()
        begin = time.perf_counter()
        decoder.call = torch.compile(model, dynamic=False)
        figures["compile_graph"] = decoder.run(decoder.capture())[0]
        figures["compile_seconds"] = time.perf_counter() - begin
    return {k: round(v, 1) for k, v in figures.items()}, said


def rms(x):
    return x.float().pow(2).mean().sqrt().item()


def measure(family, compiled):
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = transformers.AutoModelForCausalLM.from_config(config_of(family),
                                                              dtype=torch.bfloat16).eval()
    for norm in norms_of(model):
        norm.weight.add_(torch.randn_like(norm.weight) * 0.1)
    ids = torch.randint(model.config.vocab_size, (2, 64), device="cuda")
    exact = copy.deepcopy(model).float()(ids, use_cache=False).logits
    before = model(ids, use_cache=False).logits
    row = {"family": family, "norm_us_before": round(norm_microseconds(model, False), 1)}
    row["before"], said = columns(model, compiled)
    patched = rmsjit.transformers.patch_model(model)
    after = model(ids, use_cache=False).logits
    row.update(norms=len(patched.norms), blocks=len(patched.blocks), left=patched.left,
               logits_moved_rms=rms(after - before), bf16_error_rms=rms(before - exact))
    row["norm_us_after"] = round(norm_microseconds(model, True), 1)
    row["after"], said_after = columns(model, compiled)
    apart = (said != said_after).nonzero()
    row["same_tokens"] = int(apart[0, 1]) if len(apart) else TOKENS
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="where the JSON goes")
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--compile", default="llama", help="families with a torch.compile column")
    options = parser.parse_args()
    families = options.families.split(",")
    folder = pathlib.Path(tempfile.mkdtemp())
    begin = time.perf_counter()
    bundles = [build_bundle(family, folder) for family in families]
    print(f"{len(bundles)} bundles in {time.perf_counter() - begin:.1f} s", flush=True)
    rmsjit.configure(bundle_path=bundles, cache_dir="", jit="off")
    for family in families:
        rmsjit.prepare(rmsjit.keys_for_model(config_of(family), like=like(family)))
    rmsjit.seal()
    results = {"schema_version": 1, "device": torch.cuda.get_device_name(), "size": SIZE,
               "torch": torch.__version__, "transformers": transformers.__version__,
               "tokens": TOKENS, "rows": []}
    with torch.no_grad():
        for family in families:
            results["rows"].append(measure(family, family in options.compile.split(",")))
            results["stats"] = rmsjit.stats()
            print(json.dumps(results["rows"][-1]), flush=True)
            if options.out:
                pathlib.Path(options.out).write_text(json.dumps(results, indent=1))
    print(json.dumps(results["stats"]))
    good = all(row["logits_moved_rms"] <= row["bf16_error_rms"] for row in results["rows"])
    return 0 if good and results["stats"]["compiles"] == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
