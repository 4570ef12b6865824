"""Linears in two factors, which cost fewer products where the rank between them is low.

Source: Denil et al., arXiv 1306.0543, section 2: a weight as the product of two thin ones.
"""

from __future__ import annotations

from torch import Tensor, nn


class LowRank(nn.Module):
    """second(first(x)): a linear of rank at most `rank`; (..., inputs) to (..., outputs)."""

    def __init__(self, inputs: int, outputs: int, rank: int, bias: bool) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, rank, bias=False)
        self.second = nn.Linear(rank, outputs, bias=bias)

    @property
    def weight(self) -> Tensor:
        """The weight of the linear that the factors are, (outputs, inputs)."""
        return self.second.weight @ self.first.weight

    @property
    def bias(self) -> nn.Parameter | None:
        return self.second.bias

    @property
    def rank(self) -> int:
        return self.first.out_features

    @property
    def in_features(self) -> int:
        return self.first.in_features

    @property
    def out_features(self) -> int:
        return self.second.out_features

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(self.first(x))
        return out


Linear = nn.Linear | LowRank


def build_linear(inputs: int, outputs: int, bias: bool, rank: int = 0) -> Linear:
    """A linear, in two factors where `rank` is above 0."""
    return LowRank(inputs, outputs, rank, bias) if rank else nn.Linear(inputs, outputs, bias=bias)


def rank_of(linear: Linear) -> int:
    """The rank between the factors of a linear; 0 where it is whole."""
    return linear.rank if isinstance(linear, LowRank) else 0
