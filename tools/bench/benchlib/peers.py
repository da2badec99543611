# SPDX-License-Identifier: Apache-2.0
"""The Python peers: Liger, quack, torch eager, torch.compile and TransformerEngine, each called the
way its users call it, in its own rounding. FlashInfer has a file of its own."""

import importlib.metadata

import torch

from .variants import EPS, Adapter, Missing, Unsupported, Variant


def package_version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def offset(cell):
    return 1.0 if cell.op == "gemma" else 0.0


class Torch(Adapter):
    """F.rms_norm's eager kernel; the fused add is the two operations that an eager model runs."""

    name = "torch"
    allocates = True

    def version(self):
        return torch.__version__

    def variants(self, cell):
        if cell.op == "gemma":
            raise Unsupported("eager rms_norm has no 1 + weight form")
        return [Variant(False, "rounded,once" if cell.op == "fused_add" else "once")]

    def bind(self, cell, variant, sets):
        shape, rms_norm = (cell.hidden,), torch.nn.functional.rms_norm

        def run(index):
            if sets.residual is None:
                return rms_norm(sets.x[index], shape, sets.weight[index], EPS), None
            h = sets.x[index] + sets.residual[index]
            return rms_norm(h, shape, sets.weight[index], EPS), h

        return run


class Inductor(Adapter):
    """torch.compile of the fp32 formula, once a hidden size with dynamic rows, into the rotating
    outputs."""

    name = "inductor"

    def load(self):
        try:
            import torch._dynamo.config as dynamo_config
            import torch.fx.experimental._config as symbols_config
            import triton  # noqa: F401 (inductor's back end)
        except ImportError as error:
            raise Missing(str(error)) from error
        dynamo_config.recompile_limit = 64
        dynamo_config.accumulated_recompile_limit = 100000
        symbols_config.backed_size_oblivious = True  # else one row is a second compile
        self._compiled = {}

    def version(self):
        return f"torch {torch.__version__}, triton {package_version('triton')}"

    def variants(self, cell):
        return [Variant(False, "unrounded,once" if cell.op == "fused_add" else "once")]

    @staticmethod
    def _formula(cell):
        plus = offset(cell)

        def plain(x, weight, y):
            h = x.float()
            rstd = torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + EPS)
            y.copy_(h * rstd * (weight.float() + plus if plus else weight.float()))

        def fused_add(x, residual, weight, h_out, y):
            h = x.float() + residual.float()
            h_out.copy_(h)
            rstd = torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + EPS)
            y.copy_(h * rstd * weight.float())

        return fused_add if cell.op == "fused_add" else plain

    def _function(self, cell):
        key = (cell.op, cell.dtype, cell.hidden, cell.heads)
        if key not in self._compiled:
            # dynamo keeps its compiled code by code object; a copy of its own for each width keeps
            # the widths from becoming one dynamic size or running into the recompile limit.
            function = self._formula(cell)
            function.__code__ = function.__code__.replace(
                co_name=f"rmsnorm_{cell.op}_{cell.dtype}_{cell.hidden}_{cell.heads}"
            )
            compiled = torch.compile(function, fullgraph=True)
            self._first_call(cell, compiled, self.device.kind)
            self._compiled[key] = compiled
        return self._compiled[key]

    @staticmethod
    def _first_call(cell, compiled, kind):
        """Compiles for any number of rows, with tensors laid out like the cell's."""
        from .grid import Cell
        from .tensors import TensorSets

        sets = TensorSets(
            Cell(cell.op, cell.dtype, cell.hidden, 48, cell.heads, "cold"), kind, sets=1
        )
        arguments = Inductor._arguments(sets, 0)
        for tensor in arguments:
            if tensor.dim() > 1:
                torch._dynamo.mark_dynamic(tensor, 0)
        compiled(*arguments)

    @staticmethod
    def _arguments(sets, i):
        if sets.residual is None:
            return sets.x[i], sets.weight[i], sets.y[i]
        return sets.x[i], sets.residual[i], sets.weight[i], sets.h[i], sets.y[i]

    def bind(self, cell, variant, sets):
        function = self._function(cell)

        def run(index):
            function(*self._arguments(sets, index))

        return run


class Liger(Adapter):
    name = "liger"
    allocates = True

    def load(self):
        try:
            from liger_kernel.ops.fused_add_rms_norm import fused_add_rms_norm_forward
            from liger_kernel.ops.rms_norm import rms_norm_forward
        except Exception as error:  # its import pulls in whatever else is installed
            raise Missing(f"liger_kernel: {error}") from error
        self._plain, self._fused_add = rms_norm_forward, fused_add_rms_norm_forward

    def version(self):
        return package_version("liger-kernel")

    def variants(self, cell):
        if cell.op == "qk":
            raise Unsupported("needs contiguous rows")
        if cell.hidden > 65536:
            raise Unsupported("hidden is at most 65536")
        return [
            Variant(False, {"fused_add": "rounded,twice", "gemma": "once"}.get(cell.op, "twice"))
        ]

    def bind(self, cell, variant, sets):
        mode = "gemma" if cell.op == "gemma" else "llama"

        def run(index):
            x, weight = sets.x[index], sets.weight[index]
            if cell.op == "fused_add":
                out = self._fused_add(x, sets.residual[index], weight, EPS, 0.0, mode)
                return out[0], out[1], out[2]
            out = self._plain(x, weight, EPS, offset(cell), mode, None)
            return out[0], None, out[2]

        return run


class Quack(Adapter):
    name = "quack"

    def load(self):
        try:
            from quack.rmsnorm import _rmsnorm_fwd
        except Exception as error:
            raise Missing(f"quack: {type(error).__name__}: {error}") from error
        self._forward = _rmsnorm_fwd

    def version(self):
        return (
            f"{package_version('quack-kernels')}, "
            f"cutlass-dsl {package_version('nvidia-cutlass-dsl-libs-base')}"
        )

    def variants(self, cell):
        return [Variant(False, "unrounded,once" if cell.op == "fused_add" else "once")]

    def bind(self, cell, variant, sets):
        weights = sets.weight
        if cell.op == "qk":  # three dimensions take a weight a head
            weights = [w.expand(cell.heads, cell.hidden).contiguous() for w in weights]

        def run(index):
            residual = sets.residual[index] if sets.residual is not None else None
            h = sets.h[index] if sets.h is not None else None
            self._forward(
                sets.x[index],
                weights[index],
                sets.y[index],
                None,
                None,
                None,
                residual,
                h,
                EPS,
                False,
                offset(cell),
            )

        return run


class TransformerEngine(Adapter):
    name = "te"
    allocates = True

    def load(self):
        try:
            import transformer_engine.pytorch  # noqa: F401 (registers the extension)
            import transformer_engine_torch
        except Exception as error:
            raise Missing(f"transformer_engine: {type(error).__name__}: {error}") from error
        self._te = transformer_engine_torch

    def version(self):
        return package_version("transformer-engine")

    def variants(self, cell):
        if cell.op in ("fused_add", "qk"):
            raise Unsupported("no residual add, and contiguous rows only")
        return [Variant(False, "once")]

    def bind(self, cell, variant, sets):
        te = self._te
        dtype = {"bf16": te.DType.kBFloat16, "f16": te.DType.kFloat16, "f32": te.DType.kFloat32}[
            cell.dtype
        ]

        def run(index):
            out = te.rmsnorm_fwd(
                sets.x[index], sets.weight[index], EPS, None, None, dtype, 0, cell.op == "gemma"
            )
            return out[0], None, out[2]

        return run
