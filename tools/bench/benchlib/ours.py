# SPDX-License-Identifier: Apache-2.0
"""rmsjit as an implementation: compiled to the rounding and the placement of each peer, launched
through the C ABI into torch's tensors on torch's stream."""

import ctypes
import os

from . import rmsjit_c
from .variants import EPS, Adapter, Missing, Unsupported, Variant

# (rounding, in place) of every peer's fused add: what the variants below have to cover.
ROUNDINGS = {
    "rmsnorm": (("once", False), ("twice", False)),
    "qk": (("once", False),),
    "gemma": (("once", False),),
    "fused_add": (
        ("unrounded,once", False),
        ("unrounded,once", True),
        ("rounded,twice", False),
        ("rounded,once", False),
    ),
}


def spec_text(cell, variant, pdl_text=None):
    """The spec that a caller would write for this cell and variant."""
    fields = [f"hidden={cell.hidden}", f"x={cell.dtype}"]
    if cell.op == "qk":
        fields.append("layout=heads")
    add_round, _, mul_round = variant.rounding.rpartition(",")
    if cell.op == "fused_add":
        fields += ["residual=add", f"add_round={add_round}"]
        placement = "in_place" if variant.in_place else "out_of_place"
        fields += [f"y_placement={placement}", f"residual_placement={placement}"]
    if cell.op == "gemma":
        fields.append("weight_form=one_plus")
    fields.append(f"mul_round={mul_round}")
    fields.append(f"pdl={pdl_text or ('on' if variant.pdl else 'off')}")
    if variant.constant_weight:
        fields.append("constant_weight=on")
    return ",".join(fields)


def all_variants(cell, sm):
    out = [Variant(False, rounding, in_place) for rounding, in_place in ROUNDINGS[cell.op]]
    if sm >= 90:
        out += [Variant(True, rounding, in_place) for rounding, in_place in ROUNDINGS[cell.op]]
        out += [
            Variant(True, rounding, in_place, True)
            for rounding, in_place in ROUNDINGS[cell.op]
            if not in_place and rounding == ROUNDINGS[cell.op][0][0]
        ]
    return out


class Rmsjit(Adapter):
    name = "rmsjit"

    def load(self):
        path = self.options.rmsjit
        if not path or not os.path.exists(path):
            raise Missing(f"no librmsjit.so at {path!r}: name it with --rmsjit")
        self.compiles = []
        self._kernels = {}
        try:
            self._library = rmsjit_c.Library(path)
            self._runtime = rmsjit_c.Runtime(
                self._library,
                self.options.cache_dir,
                self.options.nvrtc,
                self.options.worker,
                lambda spec, target, reason, ms: self.compiles.append(
                    {
                        "impl": "rmsjit",
                        "spec": spec,
                        "target": target,
                        "reason": reason,
                        "compile_ms": round(ms, 2),
                    }
                ),
            )
        except (OSError, AttributeError, rmsjit_c.RmsjitError) as error:
            raise Missing(str(error)) from error

    def version(self):
        return self._library.version()

    def prepare_all(self, cells):
        """Compiles every key of the run in parallel; failures show again when their cell runs."""
        texts = {
            spec_text(cell, v): None for cell in cells for v in all_variants(cell, self.device.sm)
        }
        return self._prepare_many(texts)

    def prepare(self, wanted):
        self._prepare_many({spec_text(cell, variant): None for cell, variant in wanted})

    def _prepare_many(self, texts):
        specs = [self._library.parse(text) for text in texts]
        return self._runtime.prepare_many(specs, self.device.index, self.options.threads)

    def variants(self, cell):
        return all_variants(cell, self.device.sm)

    def _kernel(self, cell, variant):
        text = spec_text(cell, variant)
        if text not in self._kernels:
            try:
                self._kernels[text] = self._runtime.prepare(
                    self._library.parse(text), self.device.index
                )
            except rmsjit_c.RmsjitError as error:
                raise Unsupported(f"{text}: {error}") from error
        return self._kernels[text]

    def kernel_note(self, cell, variant):
        return self._runtime.info(self._kernel(cell, variant))

    def bind(self, cell, variant, sets):
        kernel = self._kernel(cell, variant)
        launch, byref = self._library.c.rmsjit_kernel_launch, ctypes.byref
        arguments = [make_args(cell, variant, sets, i) for i in range(sets.count)]
        error, stream = rmsjit_c.Error(), ctypes.c_void_p(self.device.stream_handle())

        def run(index):
            status = launch(kernel, byref(arguments[index]), stream, byref(error))
            if status != 0:
                self._library.check(status, error)

        return run


def make_args(cell, variant, sets, index):
    x = sets.x_in_place[index] if variant.in_place else sets.x[index]
    y = x if variant.in_place else sets.y[index]
    args = rmsjit_c.Args(
        struct_size=ctypes.sizeof(rmsjit_c.Args),
        x=x.data_ptr(),
        weight=sets.weight[index].data_ptr(),
        y=y.data_ptr(),
        tokens=cell.rows,
        heads=cell.heads,
        x_token_stride=cell.token_stride,
        y_token_stride=cell.hidden,
        eps=EPS,
    )
    if cell.op == "qk":
        args.x_head_stride = args.y_head_stride = cell.hidden
        args.y_token_stride = cell.heads * cell.hidden
    if cell.op == "fused_add":
        residual = sets.residual_in_place[index] if variant.in_place else sets.residual[index]
        h = residual if variant.in_place else sets.h[index]
        args.residual, args.residual_out = residual.data_ptr(), h.data_ptr()
        args.residual_token_stride = args.residual_out_token_stride = cell.hidden
    return args
