"""The head-wise entropy penalty (AERO, arXiv 2410.13060v2, step 4; arXiv 2501.03489v2).

Shapes: l layer, b batch, h head, t query position.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aero_search.architecture import Regularizer


def largest_entropy(length: int, reference: str, like: Tensor) -> Tensor:
    """E_max of each query position in nats, (T,), in the dtype and on the device of `like`.

    `causal` is log(i + 1), what row i can reach, 0 for the first; `log_t` is log(T) for every row.
    """
    if reference == "log_t":
        return torch.full((length,), math.log(length), dtype=like.dtype, device=like.device)
    return torch.arange(1, length + 1, dtype=like.dtype, device=like.device).log()


def entropy_penalty(entropy_lbht: Tensor, thresholds_lh: Tensor, regularizer: Regularizer) -> Tensor:
    """The penalty before its weight, in nats squared, a scalar.

    deviation = E - theta * E_max; its square counts where it exceeds margin * E_max, on one side or both.
    The mean goes over everything; the sum over batch and positions, averaged over heads and layers, as in
    the published code.

    Args:
        entropy_lbht: entropies of all layers, (L, B, H, T).
        thresholds_lh: theta, (L, H).
        regularizer: margin, reduction, side and reference; the weight is the caller's.
    """
    e_max_t = largest_entropy(entropy_lbht.shape[-1], regularizer.reference, entropy_lbht)
    deviation_lbht = entropy_lbht - thresholds_lh[:, None, :, None] * e_max_t
    measured = deviation_lbht if regularizer.sided == "one" else deviation_lbht.detach().abs()
    squared_lbht = deviation_lbht.square() * (measured > regularizer.margin * e_max_t)
    if regularizer.reduction == "sum":
        layers, _, heads, _ = entropy_lbht.shape
        return squared_lbht.sum() / (layers * heads)
    return squared_lbht.mean()
