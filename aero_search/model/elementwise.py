"""The nonlinearities of full feed-forwards as PyTorch modules, by name; each maps (...) to (...).

This file needs torch alone: an export for transformers carries a copy of it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

# The slope a leaky ReLU has, and the one a learned slope starts from. AERO (step 1) reports that learned
# slopes go to 0 without LayerNorm but not where they start: PyTorch's default is our choice.
LEAKY_SLOPE = 0.01


class SquaredReLU(nn.Module):
    """max(x, 0)^2."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x).square()


class Quadratic(nn.Module):
    """x^2 + x: one secure multiplication an element and no comparison."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(x, x, x)


class LearnedSlope(nn.PReLU):
    """A leaky ReLU whose one slope is learned."""

    def __init__(self) -> None:
        super().__init__(init=LEAKY_SLOPE)

    @property
    def slope(self) -> Tensor:
        """The slope, a scalar."""
        return self.weight.reshape(())


MODULES: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(LEAKY_SLOPE),
    "leaky_relu_learned": LearnedSlope,
    "leaky_relu_shared": LearnedSlope,
    "squared_relu": SquaredReLU,
    "quadratic": Quadratic,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "identity": nn.Identity,
}
