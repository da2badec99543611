# SPDX-License-Identifier: Apache-2.0
"""Every Python block of the documentation and every docstring's example runs as it stands, in a process of its own, with the stub
driver for the GPU and arrays of the names that it uses. A bundle stands ready for the block that
asserts that nothing is compiled."""

import doctest
import inspect
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import rmsjit
from test_package import ROOT, needs_stub

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("runtime/docs/*.md"), *ROOT.glob("runtime/python/*.md"),
         *ROOT.glob("tools/**/README.md")]
FENCE = re.compile(r"```python\n(.*?)```", re.S)
BLOCKS = [pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}") for page in PAGES
          for number, block in enumerate(FENCE.findall(page.read_text()))]
FUNCTIONS = [pytest.param(function, id=f"{module.__name__}.{name}") for module in (rmsjit, rmsjit.vllm)
             for name, function in inspect.getmembers(module, inspect.isfunction)
             if not name.startswith("_")]
CONFIG = ROOT / "tools/models/configs/llama-3.2-1b.json"

ARRAYS = """
import sys
sys.path.insert(0, sys.argv[1])
import rmsjit  # a page imports it once
from test_package import FakeArray
x, residual, weight = FakeArray(4, 4096), FakeArray(4, 4096), FakeArray(4096)
out = FakeArray(4, 4096)
q, q_weight = FakeArray(4, 32, 128, strides=[6144, 128, 1]), FakeArray(128)
"""

# A model on the CPU: what is shown is how it is patched and prepared.
MODEL = """
import torch, transformers
config = transformers.LlamaConfig(hidden_size=128, intermediate_size=256, num_hidden_layers=2,
                                  num_attention_heads=4, num_key_value_heads=2, vocab_size=64)
model = transformers.LlamaForCausalLM(config).bfloat16().requires_grad_(False).eval()
"""


def test_there_are_blocks():
    assert len(BLOCKS) >= 5


@needs_stub
@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_runs(block, tmp_path, monkeypatch):
    prelude = ARRAYS
    if "transformers" in block:
        pytest.importorskip("transformers")
        prelude = MODEL
    if "keys_for_model" in block:
        shutil.copy(CONFIG, tmp_path / "config.json")
        subprocess.run([pathlib.Path(sys.executable).parent / "rmsnorm-aot", "build", "--quiet",
                        "--model", "config.json", "--like", "vllm_cuda", "--arch", "sm_90",
                        "--out", "bundle"], check=True, cwd=tmp_path)
        monkeypatch.setenv("RMSJIT_BUNDLE_PATH", str(tmp_path / "bundle"))
    command = [sys.executable, "-c", prelude + block, str(pathlib.Path(__file__).parent)]
    subprocess.run(command, check=True, cwd=tmp_path)


@needs_stub
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_docstrings_example_runs(function, tmp_path):
    shutil.copy(CONFIG, tmp_path / "config.json")
    lines = [e.source for e in doctest.DocTestParser().get_examples(function.__doc__)]
    code = ARRAYS + "".join(lines)
    subprocess.run([sys.executable, "-c", code, str(pathlib.Path(__file__).parent)], check=True,
                   cwd=tmp_path)
