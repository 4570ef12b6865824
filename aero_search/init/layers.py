"""What one layer makes of a stream, part by part, and how much each layer of a network changes it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from aero_search.model import Decoder
from aero_search.model.decoder import DecoderLayer


@dataclass(frozen=True)
class Trace:
    """The parts of one layer's output, all (B, T, d_model).

    Attributes:
        in_btc, out_btc: the stream before and after.
        attention_normed_btc: what attention reads.
        attended_btc: what attention adds; 0 without one.
        feed_forward_input_btc: what the norm of the feed-forward reads; the stream after attention without one.
        feed_forward_normed_btc: what the feed-forward reads.
        feed_forward_residual_btc: what the feed-forward is added to.
        fed_btc: what it adds; None without one.
    """

    in_btc: Tensor
    attention_normed_btc: Tensor
    attended_btc: Tensor
    feed_forward_input_btc: Tensor
    feed_forward_normed_btc: Tensor
    feed_forward_residual_btc: Tensor
    fed_btc: Tensor | None
    out_btc: Tensor


def trace(layer: DecoderLayer, x_btc: Tensor) -> Trace:
    """Run one layer as `DecoderLayer.forward` does, and keep its parts."""
    normed_btc, attended_btc, middle_btc = x_btc, torch.zeros_like(x_btc), x_btc
    if layer.attention is not None and layer.attention_norm is not None:
        normed_btc = layer.attention_norm(x_btc)
        attended_btc, _ = layer.attention(normed_btc)
        middle_btc = x_btc + attended_btc if layer.skip else attended_btc
    if layer.feed_forward is None or layer.feed_forward_norm is None:
        return Trace(x_btc, normed_btc, attended_btc, middle_btc, middle_btc, middle_btc, None, middle_btc)
    read_btc = x_btc if layer.parallel else middle_btc
    feed_normed_btc = layer.feed_forward_norm(read_btc)
    fed_btc = layer.feed_forward(feed_normed_btc)
    out_btc = middle_btc + fed_btc if layer.scaling is None else layer.scaling(middle_btc, fed_btc)
    return Trace(x_btc, normed_btc, attended_btc, read_btc, feed_normed_btc, middle_btc, fed_btc, out_btc)


def blocks_by_influence(model: Decoder, x_btc: Tensor) -> list[float]:
    """One minus the mean cosine between the stream before and after each layer (Men et al., arXiv 2403.03853)."""
    found = []
    for layer in model.decoder_layers():
        out_btc = trace(layer, x_btc).out_btc
        found.append(1.0 - float(F.cosine_similarity(x_btc, out_btc, dim=-1).mean()))
        x_btc = out_btc
    return found
