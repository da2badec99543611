# SPDX-License-Identifier: Apache-2.0
"""The package without a device: surfaces, argument checks, errors and the runtime's functions,
against the stub driver (LD_LIBRARY_PATH) where one is given."""

import ctypes
import inspect
import json
import pathlib
import subprocess
import sys
import threading
import time
import typing

import pytest

import rmsjit
import rmsjit.sglang
import rmsjit.vllm_plugin
from fake_arrays import FakeArray, ImmutableArray
from rmsjit import _forms, _frameworks, _native, errors

ROOT = pathlib.Path(__file__).resolve().parents[2]


class RecordingArray(FakeArray):
    """Of a framework that says in C whether gradients are recorded: always."""


_always = ctypes.CFUNCTYPE(ctypes.c_bool)(lambda: True)


def _classify(kind, name):
    if kind is FakeArray:
        return (_frameworks.CAPSULE, None, lambda: 0, lambda a: FakeArray(*a._shape), None, None,
                None)
    if kind is RecordingArray:
        return (_frameworks.CAPSULE, None, lambda: 0, None, None, None,
                ctypes.cast(_always, ctypes.c_void_p).value)
    if kind is ImmutableArray:
        return (_frameworks.READ_ONLY, None, None, None, None, None, None)
    return _frameworks.classify(kind, name)


_native.register({"exceptions": errors.by_code(), "classify": _classify, "dispatch": None,
                  "grad": errors.raise_autograd})


def _has_stub():
    try:
        return hasattr(ctypes.CDLL("libcuda.so.1"), "rmsjit_stub_control")
    except OSError:
        return False


needs_stub = pytest.mark.skipif(not _has_stub(), reason="libcuda.so.1 is not the stub driver")


def test_import_needs_neither_torch_nor_cuda():
    code = ("import sys, rmsjit; sys.exit(any(m in sys.modules for m in ('torch', 'cupy', 'jax')) "
            "or 'libcuda' in open('/proc/self/maps').read())")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_signatures_are_those_of_the_engines():
    def names(function):
        return [p.name for p in inspect.signature(function).parameters.values()
                if p.kind is p.POSITIONAL_OR_KEYWORD]

    assert names(rmsjit.rmsnorm) == ["input", "weight", "eps", "out", "enable_pdl"]
    assert names(rmsjit.gemma_rmsnorm) == names(rmsjit.rmsnorm)
    assert names(rmsjit.fused_add_rmsnorm) == ["input", "residual", "weight", "eps", "enable_pdl"]
    assert names(rmsjit.gemma_fused_add_rmsnorm) == names(rmsjit.fused_add_rmsnorm)
    assert names(rmsjit.vllm.rms_norm) == ["out", "input", "weight", "epsilon"]
    assert names(rmsjit.vllm.fused_add_rms_norm) == ["input", "residual", "weight", "epsilon"]
    for function in (rmsjit.rmsnorm, rmsjit.fused_add_rmsnorm):
        parameters = inspect.signature(function).parameters
        assert parameters["eps"].default == 1e-6 and parameters["enable_pdl"].default is None


@needs_stub
def test_gradients_are_asked_of_a_framework_in_c():
    x, out, w = (RecordingArray(4, 256), RecordingArray(4, 256), RecordingArray(256))
    assert rmsjit.rmsnorm(x, w, out=out) is out  # gradients are recorded, but for none of these
    w.requires_grad = True
    with pytest.raises(errors.AutogradError):
        rmsjit.rmsnorm(x, w, out=out)


def test_every_public_function_is_documented_with_an_example():
    for module in (rmsjit, rmsjit.vllm):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if not name.startswith("_"):
                assert ">>> rmsjit." in function.__doc__ or "= rmsjit." in function.__doc__, name


def test_every_public_parameter_and_answer_has_a_type():
    for module in (rmsjit, rmsjit.vllm, rmsjit.vllm_plugin, rmsjit.sglang):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("_") or name != function.__name__:
                continue
            signature = inspect.signature(function)
            hints = typing.get_type_hints(function)
            assert {*signature.parameters, "return"} <= {*hints}, f"{module.__name__}.{name}"


def test_the_profiles_are_those_of_the_data_file():
    data = json.loads((ROOT / "tools/profiles/profiles.json").read_text())
    assert [p["name"] for p in data["profiles"]] == list(typing.get_args(rmsjit.Like))


def test_engines_that_round_twice_round_gemmas_form_once():
    for like in ("hf_llama", "vllm_native"):
        assert _forms.resolve(like, True)["mul_round"] == "twice"
        assert "mul_round" not in _forms.resolve(like, True, {"weight_form": "one_plus"})


def test_forms_take_the_profile_and_then_the_calls_own_fields():
    assert _forms.resolve("flashinfer", True)["add_round"] == "unrounded"
    assert _forms.resolve("flashinfer", True)["pdl"] == "auto"
    assert _forms.resolve("hf_llama", False)["mul_round"] == "twice"
    assert _forms.resolve("hf_llama", False, {"pdl": "on"})["pdl"] == "on"
    assert _forms.resolve("sglang", False, role="query")["y_placement"] == "in_place"


def test_each_status_has_its_exception():
    header = (ROOT / "runtime/include/rmsjit/rmsjit_c.h").read_text()
    numbers = header.split("typedef enum rmsjit_status {")[1].split("}")[0].count("=")
    assert sorted(errors.by_code()) == list(range(1, numbers))


def test_specs_are_read_and_refused_with_the_librarys_sentence():
    assert rmsjit.spec_text("x=bf16,hidden=64") == "hidden=64,x=bf16"
    with pytest.raises(ValueError, match="colour"):
        rmsjit.spec_text("hidden=64,colour=red")
    with pytest.raises(errors.InvalidArgument):
        _native.Form("hidden=0")


def test_keys_of_a_model_from_path_folder_text_and_dict(tmp_path):
    path = ROOT / "tools/models/configs/llama-3.1-8b.json"
    keys = rmsjit.keys_for_model(path, like="flashinfer")
    assert "hidden=4096" in keys["keys"][0]["spec_text"]
    assert rmsjit.keys_for_model(path.read_text(), like="flashinfer") == keys
    (tmp_path / "config.json").write_text(path.read_text())
    assert rmsjit.keys_for_model(tmp_path, like="flashinfer") == keys
    assert rmsjit.keys_for_model(json.loads(path.read_text()), like="flashinfer") == keys
    with pytest.raises(errors.NotFound, match="no_engine"):
        rmsjit.keys_for_model(path, like="no_engine")


def test_options_are_checked_before_anything_else():
    with pytest.raises(errors.InvalidArgument, match="jit="):
        rmsjit.configure(jit="maybe")


@needs_stub
def test_outputs_go_where_they_are_asked_for():
    x, r, w, out = FakeArray(4, 64), FakeArray(4, 64), FakeArray(64), FakeArray(4, 64)
    assert rmsjit.rmsnorm(x, w, out=out) is out
    assert rmsjit.rmsnorm(x, w, out=x) is x
    assert rmsjit.rmsnorm(x, w) not in (x, out)
    assert rmsjit.fused_add_rmsnorm(x, r, w) is None
    y, h = rmsjit.norm(x, w, r, like="hf_llama")
    assert y is not x and h is not r
    y, h = rmsjit.norm(x, w, r)
    assert y is not x and h is r
    assert rmsjit.norm(ImmutableArray(4, 64), w, out=out) is out


@needs_stub
def test_the_outputs_stream_is_the_one_others_are_made_ready_for():
    x, w, out = FakeArray(4, 64), FakeArray(64), FakeArray(4, 64)
    rmsjit.rmsnorm(x, w, out=out)
    assert x.streams == w.streams == out.streams == [1]  # 1 is the legacy stream in DLPack


@needs_stub
def test_keys_follow_rank_and_dtype_and_are_compiled_once():
    w = FakeArray(96)
    before = rmsjit.stats()["loaded_kernels"]
    for shape in [(4, 96), (5, 96), (96,)]:
        rmsjit.rmsnorm(FakeArray(*shape), w)
    assert rmsjit.stats()["loaded_kernels"] == before + 1
    rmsjit.rmsnorm(FakeArray(4, 96, dtype="f16"), w)
    assert rmsjit.stats()["loaded_kernels"] == before + 2
    # Where the rows kernel is there, a dense array of three dimensions uses it.
    rmsjit.rmsnorm(FakeArray(4, 2, 96), w)
    assert rmsjit.stats()["loaded_kernels"] == before + 2
    rmsjit.rmsnorm(FakeArray(4, 2, 96, strides=[300, 100, 1]), w)
    assert rmsjit.stats()["loaded_kernels"] == before + 3


@needs_stub
def test_prepared_keys_are_those_that_calls_use():
    facts = rmsjit.prepare("hidden=80,x=bf16,pdl=auto", device=0)
    assert facts[0]["spec_text"].startswith("hidden=80") and facts[0]["target"] == "sm_90"
    before = rmsjit.stats()["loaded_kernels"]
    rmsjit.rmsnorm(FakeArray(4, 80), FakeArray(80))
    assert rmsjit.stats()["loaded_kernels"] == before


@needs_stub
def test_other_threads_run_while_one_prepares():
    specs = [f"hidden={hidden},x=bf16" for hidden in range(1000, 1004)]
    preparing = threading.Thread(target=rmsjit.prepare, args=(specs, 0))
    preparing.start()
    turns = 0
    while preparing.is_alive():
        turns += 1
        time.sleep(0.001)
    assert turns > 10  # four compiles take longer, and with the GIL held there are two


@needs_stub
def test_what_has_not_begun_in_time_is_a_timeout():
    specs = [f"hidden={hidden},x=bf16" for hidden in range(2000, 2040)]
    with pytest.raises(errors.Timeout) as caught:
        rmsjit.prepare(specs, 0, timeout=0.001)
    assert isinstance(caught.value, TimeoutError)


@needs_stub
def test_a_sealed_runtime_names_the_spec_to_prepare():
    code = ("import sys; sys.path.insert(0, sys.argv[1]); import test_package as t\n"
            "t.rmsjit.seal()\n"
            "try: t.rmsjit.rmsnorm(t.FakeArray(4, 48), t.FakeArray(48))\n"
            "except t.errors.NotPrepared as e: sys.exit('hidden=48' not in str(e))\n"
            "sys.exit(1)")
    command = [sys.executable, "-c", code, str(pathlib.Path(__file__).parent)]
    assert subprocess.run(command, check=False).returncode == 0


@needs_stub
def test_configure_after_use_is_an_error():
    rmsjit.stats()
    with pytest.raises(errors.InvalidArgument, match="start-up"):
        rmsjit.configure(jit="off")
