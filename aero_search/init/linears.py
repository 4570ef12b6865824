"""Closed forms for single linears: a norm absorbed, heads regrouped, inner units chosen.

Shapes: o channels out, i channels in, n samples, h head, d channel of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aero_search.init.fit import set_weight, weight_of
from aero_search.model.low_rank import Linear


def absorbed(linear: Linear, norm: nn.Module, stream_btc: Tensor) -> None:
    """Make a linear that reads the stream give about what it gave behind a norm.

    A norm is gain * (x - mean) / deviation + bias. Gain, centring and bias are linear and go into the weights as
    they are. One over the deviation becomes the number c that minimizes sum |c x - x / deviation|^2 over the
    samples: sum of deviations over sum of their squares.
    """
    gain_i = getattr(norm, "weight", None)
    if not isinstance(gain_i, Tensor):
        return
    x_ni = stream_btc.flatten(0, 1).double()
    centered = not isinstance(norm, nn.RMSNorm) and getattr(norm, "centered", True)
    if centered:
        x_ni = x_ni - x_ni.mean(-1, keepdim=True)
    deviation_n = x_ni.square().mean(-1).sqrt()
    scale = float(deviation_n.sum() / deviation_n.square().sum().clamp(min=1e-12))
    weight_oi = weight_of(linear)
    scaled_oi = weight_oi * gain_i.double() * scale
    if centered:
        scaled_oi = scaled_oi - scaled_oi.mean(-1, keepdim=True)
    bias_i = getattr(norm, "bias", None)
    if isinstance(bias_i, Tensor) and linear.bias is not None:
        linear.bias.add_(weight_oi @ bias_i.double())
    set_weight(linear, scaled_oi)


def regrouped(rows: Tensor, before: int, after: int, width: int, mean: bool = True) -> Tensor:
    """Rows of `before` heads as those of `after`: the mean of neighbours, or each several times.

    Args:
        rows: (before * width, ...), a weight's or a bias'.
        mean: False takes the first of each group instead.
    """
    by_head = rows.reshape(before, width, *rows.shape[1:])
    if after < before:
        groups = by_head.reshape(after, before // after, width, *rows.shape[1:])
        by_head = groups.mean(1) if mean else groups[:, 0]
    elif after > before:
        by_head = by_head.repeat_interleave(after // before, dim=0)
    return by_head.reshape(after * width, *rows.shape[1:])


def inner_units(first: Linear, last: Linear, count: int) -> list[int]:
    """The inner units of a feed-forward that reach furthest, at most `count`, in their order."""
    size = weight_of(first).norm(dim=1) * weight_of(last).norm(dim=0)
    most = torch.argsort(size, descending=True, stable=True)[:count]
    return sorted(most.tolist())


def logit_scale(given_nv: Tensor, wanted_nv: Tensor) -> float:
    """The positive factor of `given` under which its distribution is nearest to that of `wanted` (cross-entropy).

    Looked for in steps of a factor 2^(1/4) around the one that makes the logits most alike.
    """
    given_nv = given_nv - given_nv.mean(-1, keepdim=True)
    start = float((given_nv * wanted_nv).sum() / given_nv.square().sum().clamp(min=1e-12))
    start = start if start > 0 else 1.0
    wanted_p_nv = wanted_nv.softmax(-1)
    factors = [start * 2 ** (step / 4) for step in range(-12, 13)]
    return min(factors, key=lambda s: -float((wanted_p_nv * (s * given_nv).log_softmax(-1)).sum()))
