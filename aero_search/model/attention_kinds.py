"""How scores become weights of the values, registered under the cards' names; all rows causal, none ever NaN.

Softmax runs fused (`model.attention`); the others hold the T x T matrix. Divisors are kept off 0 by EPSILON, which
18 fraction bits of a fixed-point number can tell from 0 and which bounds the gradient of a row that sees nothing.

Shapes: b batch, h head, t query position, s key position.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from aero_search.architecture.operations import ATTENTIONS
from aero_search.architecture.registry import Implementations

EPSILON = 1e-3
# MPCFormer (Li et al., arXiv 2211.01452, section 3.2): the c of (z + c)^2.
SQUARE_SHIFT = 5.0

WEIGHERS: Implementations[Callable[[Tensor, Tensor], Tensor]] = Implementations(ATTENTIONS, "torch")
"""By name, what maps scores (B, H, T, S) and the keys that each query sees, bool (T, S), to weights (B, H, T, S)
that are exactly 0 for the other keys."""


@WEIGHERS.register("softmax")
def softmax(z_bhts: Tensor, visible_ts: Tensor) -> Tensor:
    """exp(z) over its sum."""
    return torch.softmax(z_bhts.masked_fill(~visible_ts, -torch.inf), dim=-1)


@WEIGHERS.register("relu_sum")
def relu_sum(z_bhts: Tensor, visible_ts: Tensor) -> Tensor:
    """max(z, 0) over its sum (2ReLU of MPCFormer, arXiv 2211.01452); all 0 where no score is positive."""
    return _over_sum(z_bhts.relu().masked_fill(~visible_ts, 0.0))


@WEIGHERS.register("relu_count")
def relu_count(z_bhts: Tensor, visible_ts: Tensor) -> Tensor:
    """max(z, 0) over the public number of keys that the query sees (Wortsman et al., arXiv 2309.08586)."""
    return z_bhts.relu().masked_fill(~visible_ts, 0.0) / visible_ts.sum(-1, keepdim=True)


@WEIGHERS.register("square_sum")
def square_sum(z_bhts: Tensor, visible_ts: Tensor) -> Tensor:
    """(z + c)^2 over its sum (2Quad of MPCFormer)."""
    return _over_sum((z_bhts + SQUARE_SHIFT).square().masked_fill(~visible_ts, 0.0))


def causal(length: int, device: torch.device) -> Tensor:
    """The keys that each query sees: itself and those before it, bool (T, T)."""
    position_t = torch.arange(length, device=device)
    return position_t[:, None] >= position_t


def row_entropy(a_bhts: Tensor) -> Tensor:
    """Entropy of each row's weights over their sum in nats, (B, H, T); 0 for a row without any."""
    total_bht1 = a_bhts.sum(-1, keepdim=True)
    p_bhts = a_bhts / total_bht1.clamp(min=torch.finfo(a_bhts.dtype).tiny)
    entropy_bht: Tensor = torch.special.entr(p_bhts).sum(-1)
    return entropy_bht


def _over_sum(a_bhts: Tensor) -> Tensor:
    return a_bhts / (a_bhts.sum(-1, keepdim=True) + EPSILON)
