# SPDX-License-Identifier: Apache-2.0
"""rmsjit's C ABI (runtime/include/rmsjit/rmsjit_c.h) through ctypes."""

import ctypes
from ctypes import POINTER, byref, c_char, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t
from ctypes import c_void_p

LOG_CALLBACK = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_char_p)
COMPILE_CALLBACK = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_char_p, c_char_p, c_double)
PROGRESS_CALLBACK = ctypes.CFUNCTYPE(None, c_void_p, c_size_t, c_size_t)
COMPILE_WORKER, COMPILE_INPROCESS = 1, 2


class Error(ctypes.Structure):
    _fields_ = [("code", c_int32), ("message", c_char * 4096)]


class Spec(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t), ("hidden", c_int64)]
    _fields_ += [
        (name, c_int32)
        for name in (
            "layout",
            "x",
            "weight",
            "y",
            "residual",
            "residual_dtype",
            "weight_form",
            "y_placement",
            "residual_placement",
            "add_round",
            "mul_round",
            "root",
            "pdl",
            "constant_weight",
        )
    ]


class Options(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("cache_dir", c_char_p),
        ("bundle_path", c_char_p),
        ("nvrtc", c_char_p),
        ("worker", c_char_p),
        ("jit", c_int32),
        ("compile", c_int32),
        ("cache_max_bytes", c_int64),
        ("max_keys", c_int32),
        ("compile_jobs", c_int32),
        ("lock_wait_ms", c_int32),
        ("compile_timeout_ms", c_int32),
        ("log", LOG_CALLBACK),
        ("log_user", c_void_p),
        ("on_compile", COMPILE_CALLBACK),
        ("on_compile_user", c_void_p),
    ]


class PrepareOptions(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("jobs", c_int32),
        ("timeout_ms", c_int32),
        ("progress", PROGRESS_CALLBACK),
        ("progress_user", c_void_p),
    ]


class KernelInfo(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("spec_text", c_char_p),
        ("digest", c_char_p),
        ("target", c_char_p),
        ("origin", c_char_p),
    ]
    _fields_ += [
        (name, c_int32)
        for name in (
            "device",
            "threads_per_row",
            "max_rows_per_block",
            "registers",
            "spill_bytes",
            "shared_bytes",
        )
    ]
    _fields_ += [("plan", c_char_p)]  # NULL from a library whose struct ends before it


class Args(ctypes.Structure):
    _fields_ = [("struct_size", c_size_t)]
    _fields_ += [(name, c_void_p) for name in ("x", "weight", "residual", "residual_out", "y")]
    _fields_ += [
        (name, c_int64)
        for name in (
            "tokens",
            "heads",
            "x_token_stride",
            "x_head_stride",
            "residual_token_stride",
            "residual_head_stride",
            "residual_out_token_stride",
            "residual_out_head_stride",
            "y_token_stride",
            "y_head_stride",
        )
    ]
    _fields_ += [("eps", c_float)]


class RmsjitError(RuntimeError):
    pass


class Library:
    """The loaded shared object with its prototypes set; raises OSError when it cannot be loaded."""

    def __init__(self, path):
        self.c = ctypes.CDLL(path)
        runtime, kernel, error = c_void_p, c_void_p, POINTER(Error)
        self._declare("rmsjit_spec_parse", [c_char_p, POINTER(Spec), error])
        self._declare("rmsjit_runtime_create", [POINTER(Options), POINTER(c_void_p), error])
        self._declare("rmsjit_runtime_close", [runtime], None)
        self._declare("rmsjit_prepare", [runtime, POINTER(Spec), c_int32, POINTER(c_void_p), error])
        self._declare(
            "rmsjit_prepare_many",
            [
                runtime,
                POINTER(Spec),
                c_size_t,
                c_int32,
                POINTER(PrepareOptions),
                POINTER(c_void_p),
                POINTER(Error),
                error,
            ],
        )
        self._declare("rmsjit_kernel_info_get", [kernel, POINTER(KernelInfo), error])
        self._declare("rmsjit_kernel_launch", [kernel, POINTER(Args), c_void_p, error])
        self._declare("rmsjit_version", [], c_char_p)

    def _declare(self, name, arguments, result=c_int32):
        function = getattr(self.c, name)
        function.argtypes, function.restype = arguments, result

    def version(self):
        return self.c.rmsjit_version().decode()

    def parse(self, text):
        spec, error = Spec(struct_size=ctypes.sizeof(Spec)), Error()
        self.check(self.c.rmsjit_spec_parse(text.encode(), byref(spec), byref(error)), error)
        return spec

    @staticmethod
    def check(status, error):
        if status != 0:
            raise RmsjitError(f"{error.message.decode(errors='replace')} (status {status})")


class Runtime:
    """on_compile(spec_text, target, reason, compile_ms) is called for each compile."""

    def __init__(self, library, cache_dir, nvrtc=None, worker=None, on_compile=None):
        self._library = library
        self._on_compile = COMPILE_CALLBACK(
            lambda _, spec, target, reason, ms: on_compile
            and on_compile(spec.decode(), target.decode(), (reason or b"").decode(), ms)
        )
        self._options = Options(
            struct_size=ctypes.sizeof(Options),
            cache_dir=cache_dir.encode(),
            nvrtc=nvrtc.encode() if nvrtc else None,
            worker=worker.encode() if worker else None,
            compile=COMPILE_WORKER if worker else COMPILE_INPROCESS,
            on_compile=self._on_compile,
        )
        self._handle, error = c_void_p(), Error()
        library.check(
            library.c.rmsjit_runtime_create(
                byref(self._options), byref(self._handle), byref(error)
            ),
            error,
        )

    def prepare(self, spec, device=0):
        kernel, error = c_void_p(), Error()
        self._library.check(
            self._library.c.rmsjit_prepare(
                self._handle, byref(spec), device, byref(kernel), byref(error)
            ),
            error,
        )
        return kernel

    def prepare_many(self, specs, device=0, jobs=0):
        """Compiles in parallel. Returns {index: message} of the specs that failed."""
        array = (Spec * len(specs))(*specs)
        errors, kernels = (Error * len(specs))(), (c_void_p * len(specs))()
        options = PrepareOptions(struct_size=ctypes.sizeof(PrepareOptions), jobs=jobs)
        error = Error()
        status = self._library.c.rmsjit_prepare_many(
            self._handle, array, len(specs), device, byref(options), kernels, errors, byref(error)
        )
        if status == 0:
            return {}
        failed = {
            i: errors[i].message.decode(errors="replace")
            for i in range(len(specs))
            if not kernels[i]
        }
        return failed if any(failed.values()) else {0: error.message.decode(errors="replace")}

    def info(self, kernel):
        info, error = KernelInfo(struct_size=ctypes.sizeof(KernelInfo)), Error()
        self._library.check(
            self._library.c.rmsjit_kernel_info_get(kernel, byref(info), byref(error)), error
        )
        facts = {
            "spec": info.spec_text.decode(),
            "threads_per_row": info.threads_per_row,
            "max_rows_per_block": info.max_rows_per_block,
            "registers": info.registers,
            "origin": info.origin.decode(),
        }
        if info.plan:
            facts["plan"] = info.plan.decode()
        return facts

    def close(self):
        if self._handle:
            self._library.c.rmsjit_runtime_close(self._handle)
            self._handle = None
