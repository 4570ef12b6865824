"""The feed-forward of one layer: two linears, three when gated, or one where they are fused."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from aero_search.architecture import Architecture, Layer
from aero_search.model.activations import build_activation
from aero_search.model.low_rank import build_linear


class FeedForward(nn.Module):
    """down(activation(up(x))), or down(activation(gate(x)) * up(x)) when gated (Shazeer, arXiv 2002.05202).

    Reads and returns (..., d_model); d_ff wide between.
    """

    def __init__(self, architecture: Architecture, activation: nn.Module) -> None:
        super().__init__()
        d_model, d_ff, bias = architecture.d_model, architecture.d_ff, architecture.has_bias
        rank = architecture.ffn_rank
        self.gate = build_linear(d_model, d_ff, bias, rank) if architecture.gated else None
        self.up = build_linear(d_model, d_ff, bias, rank)
        self.activation = activation
        self.down = build_linear(d_ff, d_model, bias, rank)

    def forward(self, x: Tensor) -> Tensor:
        hidden: Tensor
        if self.gate is None:
            hidden = self.activation(self.up(x))
        else:
            hidden = self.activation(self.gate(x)) * self.up(x)
        out: Tensor = self.down(hidden)
        return out


class FusedFeedForward(nn.Module):
    """One d_model x d_model linear: what two linears with nothing between them are (AERO, step 3)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.d_model
        self.fused = build_linear(width, width, architecture.has_bias, architecture.ffn_rank)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fused(x)
        return out


def build_feed_forward(
    layer: Layer, architecture: Architecture, shared: Mapping[str, nn.Module]
) -> FeedForward | FusedFeedForward | None:
    """The feed-forward that a layer asks for; None where it keeps attention only.

    Args:
        shared: by name, the activations that the layers of this decoder hold together.
    """
    if not layer.has_ffn:
        return None
    if layer.is_fused:
        return FusedFeedForward(architecture)
    return FeedForward(architecture, build_activation(layer.activation, shared))
