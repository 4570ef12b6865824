"""How scores become weights of the values, by name: what `model.attention_kinds` registers under the cards' names.

This file needs torch alone: an export for transformers carries a copy of it. Each function maps scores (B, H, T, S)
and the keys that each query sees, bool (T, S) or what broadcasts to the scores, to weights (B, H, T, S) that are
exactly 0 for the other keys. A query that sees nothing has weights of 0; no row is ever NaN.

Shapes: b batch, h head, t query position, s key position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Weigher = Callable[[Tensor, Tensor], Tensor]

# Keeps sums in divisors off 0: 18 fraction bits of a fixed-point number can tell it from 0, and it bounds the
# gradient of a row that sees nothing.
EPSILON = 1e-3
# MPCFormer (Li et al., arXiv 2211.01452, section 3.2): the c of (z + c)^2.
SQUARE_SHIFT = 5.0


def softmax(z_bhts: Tensor, visible_ts: Tensor) -> Tensor:
    """exp(z) over its sum."""
    # Finite, so that a row without any key has a gradient that is a number.
    lowest = torch.finfo(z_bhts.dtype).min
    weights_bhts = torch.softmax(z_bhts.masked_fill(~visible_ts, lowest), dim=-1)
    return weights_bhts.masked_fill(~visible_ts, 0.0)


def relu_sum(z_bhts: Tensor, visible_ts: Tensor) -> Tensor:
    """max(z, 0) over its sum (2ReLU of MPCFormer, arXiv 2211.01452); all 0 where no score is positive."""
    return _over_sum(z_bhts.relu(), visible_ts)


def relu_count(z_bhts: Tensor, visible_ts: Tensor) -> Tensor:
    """max(z, 0) over the public number of keys that the query sees (Wortsman et al., arXiv 2309.08586)."""
    return z_bhts.relu().masked_fill(~visible_ts, 0.0) / _count(visible_ts)


def square_sum(z_bhts: Tensor, visible_ts: Tensor) -> Tensor:
    """(z + c)^2 over its sum (2Quad of MPCFormer)."""
    return _over_sum((z_bhts + SQUARE_SHIFT).square(), visible_ts)


def power(z_bhts: Tensor, visible_ts: Tensor) -> Tensor:
    """z^2 over its sum (power softmax, arXiv 2410.09457, with p = 2)."""
    return _over_sum(z_bhts.square(), visible_ts)


def power4(z_bhts: Tensor, visible_ts: Tensor) -> Tensor:
    """z^4 over its sum (power softmax, arXiv 2410.09457, with p = 4)."""
    return _over_sum(z_bhts.square().square(), visible_ts)


def sigmoid(z_bhts: Tensor, visible_ts: Tensor) -> Tensor:
    """1 / (1 + n exp(-z)) with the public number n of keys that the query sees.

    Sigmoid attention (Ramapuram et al., arXiv 2409.04431). The shift by -log n makes a fresh row add up to about 1,
    as there; their n is the length of the sequence.
    """
    shift_t1 = _count(visible_ts).to(z_bhts.dtype).log()
    return torch.sigmoid(z_bhts - shift_t1).masked_fill(~visible_ts, 0.0)


def linear(z_bhts: Tensor, visible_ts: Tensor) -> Tensor:
    """z over the public number of keys that the query sees; weights may be negative."""
    return z_bhts.masked_fill(~visible_ts, 0.0) / _count(visible_ts)


def none(z_bhts: Tensor, visible_ts: Tensor) -> Tensor:
    """Attends to nothing; a layer of this kind is built without attention."""
    return torch.zeros_like(z_bhts)


WEIGHERS: dict[str, Weigher] = {
    function.__name__: function
    for function in (softmax, relu_sum, relu_count, square_sum, power, power4, sigmoid, linear, none)
}


def beside(parts: Sequence[tuple[Weigher, int]]) -> Weigher:
    """Heads of several kinds beside each other: what weighs, and how many heads, first heads first."""
    if len(parts) == 1:
        return parts[0][0]
    counts = [count for _, count in parts]

    def weigh(z_bhts: Tensor, visible_ts: Tensor) -> Tensor:
        pieces = zip(parts, torch.split(z_bhts, counts, dim=1), strict=True)
        return torch.cat([run(z_bhts, visible_ts) for (run, _), z_bhts in pieces], dim=1)

    return weigh


def _over_sum(a_bhts: Tensor, visible_ts: Tensor) -> Tensor:
    a_bhts = a_bhts.masked_fill(~visible_ts, 0.0)
    return a_bhts / (a_bhts.sum(-1, keepdim=True) + EPSILON)


def _count(visible_ts: Tensor) -> Tensor:
    return visible_ts.sum(-1, keepdim=True).clamp(min=1)
