# SPDX-License-Identifier: Apache-2.0
"""FlashInfer's module names over rmsjit, as a pytest plugin: `pytest -p flashinfer_names FILE` runs
FlashInfer's own test file of its norms against rmsjit (run_flashinfer_tests.sh). What rmsjit does
not have is skipped, each with its reason."""

import sys
import types

import pytest
import torch

import rmsjit

#: What a test's name holds: why it cannot run here. The first that fits counts.
NOT_HERE = {
    "layernorm": "LayerNorm: rmsjit has RMSNorm only",
    "quant": "fp8 outputs: not there yet",
    "compilation_without_fp8": "compiles FlashInfer's own sources",
}


def _module(name, **names):
    module = types.ModuleType(name)
    vars(module).update(names)
    sys.modules[name] = module
    return module


def _absent(*_, **__):
    pytest.fail("rmsjit has no such function, and no reason in NOT_HERE skipped the test")


_norms = {name: getattr(rmsjit, name) for name in
          ("rmsnorm", "gemma_rmsnorm", "fused_add_rmsnorm", "gemma_fused_add_rmsnorm")}
_env = _module("flashinfer.jit.env")
_jit = _module("flashinfer.jit", env=_env, __path__=[],
               core=_module("flashinfer.jit.core", gen_jit_spec=_absent))
_utils = _module("flashinfer.utils", device_support_pdl=lambda device:
                 torch.cuda.get_device_capability(device) >= (9, 0))
_module("flashinfer", norm=_module("flashinfer.norm", **_norms), jit=_jit, utils=_utils,
        __path__=[], **_norms)


def pytest_collection_modifyitems(items):
    for item in items:
        reason = next((why for part, why in NOT_HERE.items() if part in item.name), None)
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
