# SPDX-License-Identifier: Apache-2.0
"""Is an implementation's output right? Sampled rows against the formula in double precision with
the implementation's own rounding, and no element left unwritten."""

import torch

from .variants import EPS

# One rounding of the exact result to the output's type has a relative error of 2^-9 (bf16), 2^-12
# (f16) or 2^-25 (f32) at most, some 0.6 of that in the norm; a second rounding and the fp32 sum
# with an approximate root fit in the rest. Per element: four roundings.
NORM_TOLERANCE = {"bf16": 4e-3, "f16": 6e-4, "f32": 2e-6}
ELEMENT_TOLERANCE = {"bf16": 2.0**-7, "f16": 2.0**-10, "f32": 2.0**-20}
# Where the product is rounded too, a value all but halfway between two of the type may fall to the
# other side before it is multiplied: an ulp (2^-7 in bf16), and half a one for the product.
TWICE = 1.6
SAMPLED_ROWS = 48


class Wrong(Exception):
    pass


def sampled_rows(rows):
    if rows <= SAMPLED_ROWS:
        return list(range(rows))
    draw = torch.Generator().manual_seed(5)
    inner = torch.randint(1, rows - 1, (SAMPLED_ROWS - 2,), generator=draw).tolist()
    return [0, rows - 1] + inner


def reference(cell, rounding, x, weight, residual=None):
    """(h or None, y) in double precision for rows of x, as `rounding` ("once", "twice", or either
    after "rounded," or "unrounded,") prescribes."""
    h = x.double()
    stored = None
    if residual is not None:
        h = h + residual.double()
        stored = h.to(x.dtype)
        if rounding.startswith("rounded"):
            h = stored.double()
    normalised = h * torch.rsqrt(h.square().mean(-1, keepdim=True) + EPS)
    if rounding.endswith("twice"):
        normalised = normalised.to(x.dtype).double()
    scale = weight.double() + (1.0 if cell.op == "gemma" else 0.0)
    return stored, normalised * scale


def compare(cell, what, got, wanted, roundings=1.0):
    got, wanted = got.double(), wanted.double()
    if not bool(torch.isfinite(got).all()):
        raise Wrong(
            f"{what} has {int((~torch.isfinite(got)).sum())} elements that are not finite or "
            "were never written"
        )
    off = (got - wanted).abs()
    norm = float(off.norm() / wanted.norm())
    if norm > NORM_TOLERANCE[cell.dtype]:
        raise Wrong(
            f"{what} is off by {norm:.2e} of its norm, allowed {NORM_TOLERANCE[cell.dtype]}"
        )
    allowed = roundings * ELEMENT_TOLERANCE[cell.dtype] * wanted.abs() + 1e-5
    if bool((off > allowed).any()):
        at = int((off / allowed).argmax())
        raise Wrong(
            f"{what}: element {at} of the sampled rows is {float(got.flatten()[at]):.6g}, "
            f"expected {float(wanted.flatten()[at]):.6g}"
        )


def check_output(cell, variant, sets, index, outputs):
    """`outputs` is (y, h or None) of the launch on set `index`."""
    rows = sampled_rows(cell.rows)
    residual = sets.residual[index][rows] if sets.residual is not None else None
    h, y = reference(cell, variant.rounding, sets.x[index][rows], sets.weight[index], residual)
    got_y, got_h = outputs
    if h is not None:
        compare(cell, "h", got_h[rows], h)
    compare(cell, "y", got_y[rows], y, TWICE if variant.rounding.endswith("twice") else 1.0)
    for name, whole in (("y", got_y), ("h", got_h)):
        if whole is not None and bool(torch.isnan(whole).any()):
            raise Wrong(f"{name} has elements that were never written")
