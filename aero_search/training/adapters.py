"""Low-rank adapters: of the layers' matrices only a change of low rank is trained, and merged at the end.

LoRA (Hu et al., arXiv 2106.09685, section 4.1): W becomes W + (alpha / r) B A with A (r, in), B (out, r), and B = 0
at the start. Here alpha is r: the learning rate alone says how far a step goes. The sum is one of torch's own
parametrizations, so whatever reads a weight reads the adapted one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from aero_search.errors import RequestError
from aero_search.model import Decoder


class LowRankChange(nn.Module):
    """What is added to a weight of shape (out, in).

    Attributes:
        down_ri: drawn like a linear's weight, uniform within 1 / sqrt(in).
        up_or: zeros.
    """

    def __init__(self, weight_oi: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        outputs, inputs = weight_oi.shape
        drawn_ri = torch.rand(rank, inputs, generator=generator) * 2 - 1
        self.down_ri = nn.Parameter(drawn_ri.to(weight_oi) / inputs**0.5)
        self.up_or = nn.Parameter(weight_oi.new_zeros(outputs, rank))

    def forward(self, weight_oi: Tensor) -> Tensor:
        return weight_oi + self.up_or @ self.down_ri


def add_adapters(decoder: Decoder, rank: int, seed: int) -> None:
    """Give every linear of the layers a change that is trained; the caller freezes the weights themselves.

    Raises:
        RequestError: the stabilizer has reparametrized a weight.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in decoder.layers.modules():
        if not isinstance(module, nn.Linear):
            continue
        if parametrize.is_parametrized(module, "weight"):
            raise RequestError(
                "train.scope=adapters cannot change weights that a stabilizer normalizes: take train.scope=all, or "
                "a stabilizer without weight or spectral normalization"
            )
        parametrize.register_parametrization(module, "weight", LowRankChange(module.weight, rank, generator))


def merge_adapters(decoder: Decoder) -> None:
    """Make the adapted weights plain ones; nothing happens where there are no adapters."""
    for module in list(decoder.layers.modules()):
        if isinstance(module, nn.Linear) and parametrize.is_parametrized(module, "weight"):
            change = module.get_submodule("parametrizations.weight.0")
            if isinstance(change, LowRankChange):
                parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
