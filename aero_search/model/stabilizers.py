"""What keeps a model without normalization and nonlinearity trainable (AERO, step 2)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from aero_search.architecture import Architecture
from aero_search.model.attention import Attention


class Scaling(nn.Module):
    """X = beta * X_SA + FFN(X_SA) / alpha with learnable scalars (AERO, step 2).

    Their starting value is not published; both start at 1, the plain residual connection.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(()))
        self.beta = nn.Parameter(torch.ones(()))

    def forward(self, attended: Tensor, fed: Tensor) -> Tensor:
        return self.beta * attended + fed / self.alpha


def reparametrize(architecture: Architecture, layers: nn.ModuleList) -> None:
    """Put weight_norm or spectral_norm on the target linears, which keep the weights they have.

    Weight normalization is one magnitude for each output (Salimans & Kingma, arXiv 1602.07868); spectral
    normalization divides by the largest singular value, one power iteration a training step (Miyato et al.,
    arXiv 1802.05957).
    """
    stabilizer = architecture.stabilizer
    if stabilizer.kind == "weight_norm":
        for linear in _targets(stabilizer.targets, layers):
            parametrizations.weight_norm(linear)
    elif stabilizer.kind == "spectral_norm":
        for linear in _targets(stabilizer.targets, layers):
            parametrizations.spectral_norm(linear)


def _targets(targets: str, layers: nn.ModuleList) -> Iterator[nn.Linear]:
    projections = {"q": "query", "k": "key", "v": "value", "o": "output"}
    wanted = {projections[letter] for part in targets.split("+") if part != "ffn" for letter in part}
    for layer in dict.fromkeys(layers):
        for name, module in layer.named_modules():
            if not isinstance(module, nn.Linear):
                continue
            parent, _, leaf = name.rpartition(".")
            in_attention = isinstance(layer.get_submodule(parent), Attention)
            if leaf in wanted if in_attention else "ffn" in targets:
                yield module
