# SPDX-License-Identifier: Apache-2.0
"""FlashInfer: its default CuTe kernels through its Python functions, and its CUDA kernels through
the module that it builds itself, a module built earlier (--flashinfer-module), or its headers
(--flashinfer-include). Both in place for the fused add, as their users call them."""

import ctypes
import os
import subprocess

import torch

from .peers import package_version
from .variants import EPS, Adapter, Missing, Unsupported, Variant

SHIM = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "flashinfer_headers.cu"
)


class _Base(Adapter):
    def variants(self, cell):
        if cell.dtype == "f32":
            raise Unsupported("no f32")
        pdl = (False, True) if self.device.sm >= 90 else (False,)
        if cell.op == "fused_add":
            return [Variant(p, "unrounded,once", True) for p in pdl]
        return [Variant(p, "once") for p in pdl]

    def version(self):
        return package_version("flashinfer-python")


class FlashInfer(_Base):
    name = "flashinfer"

    def load(self):
        try:
            import flashinfer.norm as norm
        except Exception as error:
            raise Missing(f"flashinfer: {type(error).__name__}: {error}") from error
        if norm._USE_CUDA_NORM:
            try:
                import flashinfer.norm.kernels  # noqa: F401

                reason = "FLASHINFER_USE_CUDA_NORM=1 is set"
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
            raise Missing(f"flashinfer's CuTe kernels do not load: {reason}")
        self._norm = norm

    def bind(self, cell, variant, sets):
        norm, pdl = self._norm, variant.pdl
        plain = norm.gemma_rmsnorm if cell.op == "gemma" else norm.rmsnorm

        def run(index):
            if cell.op == "fused_add":
                norm.fused_add_rmsnorm(
                    sets.x_in_place[index],
                    sets.residual_in_place[index],
                    sets.weight[index],
                    EPS,
                    pdl,
                )
            else:
                plain(sets.x[index], sets.weight[index], EPS, sets.y[index], pdl)

        return run


class FlashInferCuda(_Base):
    name = "flashinfer_cuda"

    def load(self):
        tried = []
        for way in (self._module, self._headers, self._own_jit):
            try:
                self._functions = way()
                if self._functions is not None:
                    return
            except Exception as error:
                tried.append(f"{way.__name__.strip('_')}: {type(error).__name__}: {error}")
        raise Missing("flashinfer's CUDA kernels: " + ("; ".join(tried) or "nothing to load"))

    def _module(self):
        if not self.options.flashinfer_module:
            return None
        import tvm_ffi

        return tvm_ffi.load_module(os.path.abspath(self.options.flashinfer_module))

    def _own_jit(self):
        from flashinfer.norm import get_norm_module

        return get_norm_module()

    def _headers(self):
        if not self.options.flashinfer_include:
            return None
        target = os.path.join(self.options.work_dir, "flashinfer_headers.so")
        subprocess.run(
            [
                "nvcc",
                "-O3",
                "-std=c++17",
                "-use_fast_math",
                "--expt-relaxed-constexpr",
                "-shared",
                "-Xcompiler=-fPIC",
                f"-gencode=arch=compute_{self.device.sm},code=sm_{self.device.sm}",
                "-DFLASHINFER_ENABLE_F16",
                "-DFLASHINFER_ENABLE_BF16",
                "-I",
                self.options.flashinfer_include,
                SHIM,
                "-o",
                target,
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return _HeaderFunctions(ctypes.CDLL(target), self.device)

    def bind(self, cell, variant, sets):
        functions, pdl = self._functions, variant.pdl
        plain = functions.gemma_rmsnorm if cell.op == "gemma" else functions.rmsnorm

        def run(index):
            if cell.op == "fused_add":
                functions.fused_add_rmsnorm(
                    sets.x_in_place[index],
                    sets.residual_in_place[index],
                    sets.weight[index],
                    EPS,
                    pdl,
                )
            else:
                plain(sets.y[index], sets.x[index], sets.weight[index], EPS, pdl)

        return run


class _HeaderFunctions:
    """The functions of flashinfer_headers.cu with the signatures of FlashInfer's own module."""

    def __init__(self, library, device):
        self._library = library
        self._device = device

    def _call(self, name, tensors, sizes, eps, pdl):
        half = int(tensors[0].dtype == torch.float16)
        if tensors[0].dtype not in (torch.float16, torch.bfloat16):
            raise Unsupported(f"no {tensors[0].dtype}")
        result = getattr(self._library, name)(
            *[ctypes.c_void_p(t.data_ptr()) for t in tensors],
            *[ctypes.c_longlong(s) for s in sizes],
            ctypes.c_float(eps),
            ctypes.c_int(pdl),
            ctypes.c_int(half),
            ctypes.c_void_p(self._device.stream_handle()),
        )
        if result != 0:
            raise RuntimeError(f"{name}: cudaError {result}")

    def rmsnorm(self, out, x, weight, eps, pdl):
        if x.dim() == 3:
            self._call(
                "fi_qk_rmsnorm",
                (out, x, weight),
                (*x.shape, x.stride(0), x.stride(1), out.stride(0), out.stride(1)),
                eps,
                pdl,
            )
        else:
            self._call(
                "fi_rmsnorm", (out, x, weight), (*x.shape, x.stride(0), out.stride(0)), eps, pdl
            )

    def gemma_rmsnorm(self, out, x, weight, eps, pdl):
        self._call(
            "fi_gemma_rmsnorm", (out, x, weight), (*x.shape, x.stride(0), out.stride(0)), eps, pdl
        )

    def fused_add_rmsnorm(self, x, residual, weight, eps, pdl):
        self._call(
            "fi_fused_add_rmsnorm",
            (x, residual, weight),
            (*x.shape, x.stride(0), residual.stride(0)),
            eps,
            pdl,
        )
