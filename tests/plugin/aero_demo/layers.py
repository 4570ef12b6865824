"""The PyTorch modules, registered under the names of the cards."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aero_search.architecture import Architecture
from aero_search.model import activations, norms


@activations.BUILDERS.register("clipped_relu")
class ClippedReLU(nn.Module):
    """min(max(x, 0), 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0.0, 1.0)


class Centre(nn.Module):
    """(x - mean) times a learned gain; the gain takes what folding wants to hide in it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean(-1, keepdim=True)) * self.weight

    @torch.no_grad()
    def absorb(self, scale: float, gain: float) -> None:
        self.weight.mul_(scale * gain)


@norms.BUILDERS.register("centre")
def centre(architecture: Architecture) -> nn.Module:
    return Centre(architecture.d_model)
