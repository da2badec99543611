# SPDX-License-Identifier: Apache-2.0
"""Each engine's RMSNorm, evaluated step by step in torch in the order and roundings of its source
(tools/profiles/profiles.json names it). `ours` replaces the engine's sum of squares by the fixed
tree of templates/reduce.cuh and its root by the correctly rounded one."""

import torch


def _fma(a, b, c):
    # Exact product in double; the one further rounding of the sum cannot matter at these sizes.
    return (a.double() * b.double() + c.double()).float()


def tree_sum(h):
    """The sum of squares of each row, as every launch plan adds it."""
    leaves = -(-h.shape[-1] // 8)
    count = 1 << (leaves - 1).bit_length()
    padded = torch.zeros(*h.shape[:-1], count * 8, device=h.device)
    padded[..., :h.shape[-1]] = h
    parts = padded.unflatten(-1, (count, 2, 4))
    chain = torch.zeros_like(parts[..., 0])
    for i in range(4):
        chain = _fma(parts[..., i], parts[..., i], chain)
    values = chain[..., 0] + chain[..., 1]
    while values.shape[-1] > 1:
        half = values.shape[-1] // 2
        values = values[..., :half] + values[..., half:]
    return values[..., 0]


def engine_rstd(h, eps):
    return torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + eps)


def our_rstd(h, eps):
    inverse = torch.tensor(1.0 / h.shape[-1], dtype=torch.float32, device=h.device)
    eps = torch.tensor(eps, dtype=torch.float32, device=h.device)
    mean = _fma(tree_sum(h), inverse, eps)
    return (1.0 / mean.double().sqrt()).float().unsqueeze(-1)


def _scaled(h, rstd, weight, dtype, one_plus):
    w = weight.float() + 1 if one_plus else weight.float()
    return (h * rstd * w).to(dtype)


def _scaled_twice(h, rstd, weight, dtype, one_plus):
    if one_plus:
        return _scaled(h, rstd, weight, dtype, one_plus)
    return weight * (h * rstd).to(dtype)


def _rounded(x, residual, rstd_of, eps, scale, weight, one_plus):
    h = x if residual is None else x + residual
    f = h.float()
    return scale(f, rstd_of(f, eps), weight, x.dtype, one_plus), h


def _unrounded(x, residual, rstd_of, eps, scale, weight, one_plus):
    f = x.float() if residual is None else x.float() + residual.float()
    return scale(f, rstd_of(f, eps), weight, x.dtype, one_plus), f.to(x.dtype)


def _stats_unrounded(x, residual, rstd_of, eps, scale, weight, one_plus):
    f = x.float() if residual is None else x.float() + residual.float()
    h = f.to(x.dtype)
    return scale(h.float(), rstd_of(f, eps), weight, x.dtype, one_plus), h


_ENGINES = {
    "rmsjit": (_rounded, _scaled),
    "flashinfer": (_unrounded, _scaled),
    "vllm_cuda": (_rounded, _scaled),
    "vllm_native": (_unrounded, _scaled_twice),
    "sglang": (_stats_unrounded, _scaled),
    "hf_llama": (_rounded, _scaled_twice),
    "hf_gemma": (_rounded, _scaled),
}


def engine(like, x, weight, residual=None, eps=1e-6, one_plus=False, ours=False):
    """(y, h) of the engine's formula."""
    add, scale = _ENGINES[like]
    return add(x, residual, our_rstd if ours else engine_rstd, eps, scale, weight, one_plus)


def ulps(a, b):
    """How many representable values lie between, element by element."""
    bits = {2: torch.int16, 4: torch.int32}[a.element_size()]
    lowest = torch.iinfo(bits).min

    def ordered(t):
        i = t.contiguous().view(bits).long()
        return torch.where(i < 0, lowest - i, i)

    return (ordered(a) - ordered(b)).abs()
