"""What turns scores into weights in a decoder: the tree's own (`model.attention_weights`) or a plug-in's.

Softmax runs fused where all heads of a layer have it (`model.attention`); the others hold the T x T matrix.

Shapes: b batch, h head, t query position, s key position.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from aero_search.architecture.operations import ATTENTIONS
from aero_search.architecture.registry import Implementations
from aero_search.model import attention_weights
from aero_search.model.attention_weights import Weigher

WEIGHERS: Implementations[Weigher] = Implementations(ATTENTIONS, "torch", attention_weights.WEIGHERS)
"""By name, what maps scores (B, H, T, S) and the keys that each query sees, bool (T, S), to weights (B, H, T, S)
that are exactly 0 for the other keys."""


def by_heads(parts: Sequence[tuple[str, int]]) -> Weigher:
    """What weighs the heads of a layer, kinds with how many heads each has (`Architecture.heads`).

    Raises:
        RequestError: nothing in PyTorch runs one of them.
    """
    return attention_weights.beside([(WEIGHERS[kind], count) for kind, count in parts])


def causal(length: int, device: torch.device) -> Tensor:
    """The keys that each query sees: itself and those before it, bool (T, T)."""
    position_t = torch.arange(length, device=device)
    return position_t[:, None] >= position_t


def row_entropy(a_bhts: Tensor) -> Tensor:
    """Entropy of each row's weights over their sum in nats, (B, H, T); 0 for a row without any.

    A negative weight counts by its size.
    """
    size_bhts = a_bhts.abs()
    total_bht1 = size_bhts.sum(-1, keepdim=True)
    p_bhts = size_bhts / total_bht1.clamp(min=torch.finfo(a_bhts.dtype).tiny)
    entropy_bht: Tensor = torch.special.entr(p_bhts).sum(-1)
    return entropy_bht
