# SPDX-License-Identifier: Apache-2.0
"""The runtime of the process: options, preparing, sealing, statistics, keys of a model."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Literal

from . import _native
from ._forms import Like
from .errors import InvalidArgument

Path = str | os.PathLike

_JIT = {None: 0, "on": 1, "warn": 2, "off": 3}
_COMPILE = {None: 0, "worker": 1, "inprocess": 2}
_SIGNATURE = {None: 0, "on": 1, "off": 2}
_LONGEST_TIMEOUT = 2_000_000  # seconds; the C ABI counts milliseconds in 32 bits


def _number(name, table, value):
    if value not in table:
        allowed = ", ".join(k for k in table if k)
        raise InvalidArgument(f"{name}={value!r}: {allowed} are allowed")
    return table[value]


def _path(value):
    return None if value is None else os.fspath(value)


def configure(*, cache_dir: Path | None = None, bundle_path: Path | Iterable[Path] | None = None,
              nvrtc: Path | None = None, worker: Path | None = None,
              jit: Literal["on", "warn", "off"] | None = None,
              compile: Literal["worker", "inprocess"] | None = None, cache_max_bytes: int = 0,
              max_keys: int = 0, compile_jobs: int = 0, journal: Path | None = None,
              trusted_keys: str | None = None,
              require_signature: Literal["on", "off"] | None = None) -> None:
    """Options of the process's runtime, each over its RMSJIT_* variable. Call it at start-up.

    ``cache_dir=""`` keeps nothing on disk; ``bundle_path`` is one directory, a list of them, or
    their names joined by ``:``; ``jit``: on, warn, off; ``compile``: worker, inprocess;
    ``journal``: a file that receives the spec of each missed key; ``trusted_keys``: public keys
    joined by ``,``; ``require_signature``: on, off.

    Raises InvalidArgument; also if the runtime is in use already.

    >>> rmsjit.configure(bundle_path="/srv/bundle", jit="off")
    """
    if bundle_path is not None and not isinstance(bundle_path, (str, os.PathLike)):
        bundle_path = ":".join(os.fspath(p) for p in bundle_path)
    _native.configure(_path(cache_dir), _path(bundle_path), _path(nvrtc), _path(worker),
                      _number("jit", _JIT, jit), _number("compile", _COMPILE, compile),
                      cache_max_bytes, max_keys, compile_jobs, _path(journal), trusted_keys,
                      _number("require_signature", _SIGNATURE, require_signature))


def _current_device():
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.current_device()
    cupy = sys.modules.get("cupy")
    return cupy.cuda.Device().id if cupy is not None else 0


def _index(device):
    """The index of a device: an int, None, or an object with one, such as torch.device."""
    if device is None:
        return _current_device()
    given = device if isinstance(device, int) else getattr(device, "index", None)
    if isinstance(given, int) and 0 <= given < 1024:
        return int(given)
    raise InvalidArgument(f"device={device!r}: the index of a CUDA device is needed, such as 0")


def _milliseconds(timeout):
    if timeout is None:
        return 0
    if isinstance(timeout, (int, float)) and 0 < timeout <= _LONGEST_TIMEOUT:
        return max(1, int(timeout * 1000))
    raise InvalidArgument(f"timeout={timeout!r}: seconds above 0 and up to {_LONGEST_TIMEOUT} are "
                          "allowed, or None")


def _texts(specs):
    """Spec texts of a text, of keys_for_model()'s answer, or of a list of texts and keys."""
    if isinstance(specs, str):
        return [specs]
    if isinstance(specs, Mapping) and "spec_text" in specs:
        return [specs["spec_text"]]
    if isinstance(specs, Mapping):
        specs = specs.get("keys")
    if not isinstance(specs, Iterable):
        raise InvalidArgument("specs_or_keys: a spec text as \"hidden=4096,x=bf16\", "
                              "keys_for_model()'s answer or a list of these is needed")
    return [text for item in specs for text in _texts(item)]


def prepare(specs_or_keys: str | Mapping | Iterable, device: int | None = None,
            timeout: float | None = None) -> list[dict]:
    """Takes kernels from bundles or the disk, or compiles them, and loads them: everything slow,
    so that the first launch may be inside a CUDA graph capture.

    ``specs_or_keys``: ``"hidden=4096,x=bf16,residual=add"``, a list of such texts, or what
    keys_for_model() returns. ``device``: its index; None: the current one. ``timeout``: seconds;
    what has not begun by then raises Timeout. The GIL is released. Returns the facts of each
    kernel: spec_text, digest, target, origin, registers, ...

    Raises InvalidArgument, Unsupported, JitDisabled, CompileFailed, CompilerUnavailable,
    WorkerFailed, Timeout, DriverError, DriverUnavailable, TooManyKeys.

    >>> rmsjit.prepare("hidden=4096,x=bf16,residual=add,pdl=auto")
    """
    return _native.prepare(_texts(specs_or_keys), _index(device), _milliseconds(timeout))


def precompile(specs_or_keys: str | Mapping | Iterable, target: str) -> None:
    """Compiles into the cache for a target ("sm_90") without a device or driver.

    >>> rmsjit.precompile("hidden=4096,x=bf16", "sm_90")
    """
    for text in _texts(specs_or_keys):
        _native.precompile(text, target)


def seal() -> None:
    """From now on a call whose key is not prepared raises NotPrepared instead of compiling.

    >>> rmsjit.seal()
    """
    _native.seal()


def stats() -> dict[str, int]:
    """Counters of the process: memory_hits, bundle_hits, disk_hits, compiles, loaded_kernels, ...

    >>> rmsjit.stats()["compiles"]
    """
    return _native.stats()


def keys_for_model(config_or_path: Path | Mapping, *, like: Like = "rmsjit",
                   tensor_parallel: int = 1) -> dict:
    """Every spec that serving a model needs, as ``rmsnorm-aot keys --json`` prints it.

    ``config_or_path``: a Hugging Face config.json as a path or its folder, its text, a dict, or a
    config object with ``to_json_string``. Raises InvalidArgument, NotFound (family or profile).

    >>> keys = rmsjit.keys_for_model("config.json", like="vllm_cuda")
    >>> rmsjit.prepare(keys)
    """
    config = config_or_path
    if hasattr(config, "to_json_string"):
        text = config.to_json_string(use_diff=False)
    elif isinstance(config, Mapping):
        text = json.dumps(config)
    elif isinstance(config, str) and config.lstrip().startswith("{"):
        text = config
    else:
        if os.path.isdir(path := os.fspath(config)):
            path = os.path.join(path, "config.json")
        with open(path, encoding="utf-8") as file:
            text = file.read()
    return json.loads(_native.keys_for_model(text, like, tensor_parallel))


def spec_text(text: str) -> str:
    """The canonical text of a spec; raises InvalidArgument if it is wrong.

    >>> rmsjit.spec_text("x=bf16,hidden=4096")
    """
    return _native.spec_text(text)
