# SPDX-License-Identifier: Apache-2.0
"""Every engine profile against that engine's formula, evaluated step by step."""

from typing import get_args

import pytest

torch = pytest.importorskip("torch")

import formulas  # noqa: E402
import rmsjit  # noqa: E402

LIKES = get_args(rmsjit.Like)
DTYPES = [torch.bfloat16, torch.float16]


def tensors(rows, hidden, dtype, seed=0):
    generator = torch.Generator("cuda").manual_seed(seed)
    x = torch.randn(rows, hidden, device="cuda", generator=generator).to(dtype)
    residual = torch.randn(rows, hidden, device="cuda", generator=generator).to(dtype)
    weight = torch.randn(hidden, device="cuda", generator=generator).to(dtype)
    return x, residual, weight


def run(like, x, weight, residual, **fields):
    """On copies, because many profiles write in place."""
    x = x.clone()
    residual = None if residual is None else residual.clone()
    answer = rmsjit.norm(x, weight, residual, like=like, **fields)
    return answer if residual is not None else (answer, None)


@pytest.mark.parametrize("hidden", [4096, 2880, 511])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("one_plus", [False, True])
@pytest.mark.parametrize("like", LIKES)
def test_agrees_with_the_engines_formula(like, one_plus, add, dtype, hidden):
    x, residual, weight = tensors(64, hidden, dtype)
    residual = residual if add else None
    form = {"weight_form": "one_plus"} if one_plus else {}
    y, h = run(like, x, weight, residual, **form)
    expected, expected_h = formulas.engine(like, x, weight, residual, one_plus=one_plus)
    apart = formulas.ulps(y, expected)
    # The order of the sum and the root move rstd by parts in 2^24, which takes the one rounding
    # of f16 (11 bits) or bf16 (8) over a boundary for less than one product in a thousand, by one
    # ulp. With two roundings, one ulp of the first is less than two of the second: an ulp is 2^-p
    # to 2^(1-p) of its value.
    assert apart.max() <= (2 if like in ("vllm_native", "hf_llama") and not one_plus else 1)
    assert (apart == 0).float().mean() >= 0.999
    if add:
        assert torch.equal(h, expected_h)


@pytest.mark.parametrize("hidden", [4096, 511])
@pytest.mark.parametrize("dtype", [*DTYPES, torch.float32])
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("one_plus", [False, True])
@pytest.mark.parametrize("like", LIKES)
def test_is_exactly_the_formula_with_our_sum_in_it(like, one_plus, add, dtype, hidden):
    x, residual, weight = tensors(64, hidden, dtype, seed=1)
    residual = residual if add else None
    form = {"weight_form": "one_plus"} if one_plus else {}
    y, _ = run(like, x, weight, residual, root="exact", **form)
    expected, _ = formulas.engine(like, x, weight, residual, one_plus=one_plus, ours=True)
    assert torch.equal(y, expected)
