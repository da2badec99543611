# SPDX-License-Identifier: Apache-2.0
"""Decoder blocks of transformers, rewritten so that each residual add is done by the norm after it.
A block hands its last add to the next block's first norm, or to the norm after the stack."""

import copy
import inspect

import torch
from torch import nn


class Pending:
    """A block's output whose last add the next norm does."""

    def __init__(self, x, residual):
        self.x = x
        self.residual = residual


def _arrive(norm, hidden_states):
    """(norm's output, the residual stream) of what the block before handed over."""
    if isinstance(hidden_states, Pending):
        return norm(hidden_states.x, hidden_states.residual)
    return norm(hidden_states), hidden_states


def _leave(block, x, residual):
    # Who watches a block's output (hooks, recorded hidden states) gets the sum itself.
    if block._forward_hooks or "forward" in block.__dict__:
        return residual + x
    return Pending(x, residual)


class _LlamaBlock:
    """x + attention(norm(x)), then x + mlp(norm(x)): Llama, Qwen3, DeepSeek-V3 and many others."""

    def forward(self, hidden_states, **kwargs):
        x, residual = _arrive(self.input_layernorm, hidden_states)
        x = self.self_attn(hidden_states=x, **kwargs)[0]
        x, residual = self.post_attention_layernorm(x, residual)
        return _leave(self, self.mlp(x), residual)


class _GemmaBlock:
    """Norms before and after attention and mlp: Gemma 2 and 3."""

    def forward(self, hidden_states, **kwargs):
        x, residual = _arrive(self.input_layernorm, hidden_states)
        x = self.self_attn(hidden_states=x, **kwargs)[0]
        x = self.post_attention_layernorm(x)
        x, residual = self.pre_feedforward_layernorm(x, residual)
        x = self.post_feedforward_layernorm(self.mlp(x))
        return _leave(self, x, residual)


_BLOCKS = {_LlamaBlock: ("input_layernorm", "post_attention_layernorm"),
           _GemmaBlock: ("input_layernorm", "post_attention_layernorm",
                         "pre_feedforward_layernorm", "post_feedforward_layernorm")}
# Which of those takes the residual of attention.
_ADDING = {_LlamaBlock: 1, _GemmaBlock: 2}


class _StandIn(nn.Module):
    """A part of a block, reduced to one linear function, so that order and wiring show."""

    def __init__(self, factor, attention=False):
        super().__init__()
        self.factor, self.attention = factor, attention

    def forward(self, x=None, residual=None, *, hidden_states=None, **_):
        x = hidden_states if x is None else x
        if residual is not None:
            x = residual = x + residual
        y = x * self.factor + self.factor
        if self.attention:
            return y, None
        return (y, residual) if residual is not None else y


@torch.no_grad()
def _same_block(block, rewritten, norms):
    """Whether the rewritten forward computes what the block's own does."""
    stand_in = copy.copy(block)
    stand_in._forward_hooks = {}
    stand_in._modules = {"self_attn": _StandIn(3.0, attention=True), "mlp": _StandIn(5.0),
                         **{name: _StandIn(7.0 + i) for i, name in enumerate(norms)}}
    others = list(inspect.signature(type(block).forward).parameters.values())[2:]
    nothing = {p.name: None for p in others if p.kind is p.POSITIONAL_OR_KEYWORD}
    x = torch.arange(8.0).reshape(1, 1, 8)
    try:
        expected = type(block).forward(stand_in, x, **nothing)
        given = rewritten.forward(stand_in, x, **nothing)
    except Exception:  # a block with other parts
        return False
    return isinstance(expected, torch.Tensor) and torch.equal(expected, given.x + given.residual)


def _rewritten(block, taken):
    """The rewritten forward that fits the block, or None."""
    for rewritten, norms in _BLOCKS.items():
        if (all(getattr(block, name, None) in taken for name in norms)
                and sum(child in taken for child in block.children()) == len(norms)
                and _same_block(block, rewritten, norms)):
            return rewritten
    return None


def become(module, mixin):
    """The module gets a subclass of its own class, whose forward is the mixin's."""
    cls = type(module)
    module.__class__ = type(cls.__name__, (mixin, cls), {"__module__": cls.__module__})


def fuse(model, taken):
    """Rewrites each stack of blocks under a final norm; {block name: block}, and which norms get a
    residual now."""
    blocks, adding, only_adding = {}, set(), set()
    for name, parent in model.named_modules():
        layers, final = getattr(parent, "layers", None), getattr(parent, "norm", None)
        if not isinstance(layers, nn.ModuleList) or final not in taken:
            continue
        fitting = [_rewritten(block, taken) for block in layers]
        if not fitting or None in fitting:
            continue
        for i, (block, rewritten) in enumerate(zip(layers, fitting)):
            become(block, rewritten)
            blocks[f"{name}.layers.{i}".lstrip(".")] = block
            adding.add(block.input_layernorm)
            only_adding.add(getattr(block, _BLOCKS[rewritten][_ADDING[rewritten]]))
        only_adding.add(final)
    return blocks, adding | only_adding, only_adding
