"""The nonlinearities of full feed-forwards as PyTorch modules, by name; each maps (...) to (...).

What remains of norms that fold (`model.norms.Folds`) is here too.

This file needs torch alone: an export for transformers carries a copy of it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

# The slope a leaky ReLU has, and the one a learned slope starts from. AERO (step 1) reports that learned
# slopes go to 0 without LayerNorm but not where they start: PyTorch's default is our choice.
LEAKY_SLOPE = 0.01


# By the number of pieces, where the slope of PiecewiseLinear turns, and by how much. Least squares to GELU over
# -4 to 4, made symmetric: the largest distances are 0.16, 0.05 and 0.03.
TURNS = {
    4: ((-3.17, -0.0497), (0.0, 1.0994), (3.17, -0.0497)),
    5: ((-2.629, -0.087), (-0.431, 0.587), (0.431, 0.587), (2.629, -0.087)),
    6: ((-2.541, -0.0973), (-0.615, 0.3637), (0.0, 0.4672), (0.615, 0.3637), (2.541, -0.0973)),
}


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


class LearnedQuadratic(nn.Module):
    """curvature * x^2 + slope * x, both learned; they start as GELU does around 0 (its Taylor polynomial)."""

    def __init__(self) -> None:
        super().__init__()
        self.curvature = nn.Parameter(torch.tensor((2 * torch.pi) ** -0.5))
        self.slope = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.addcmul(self.slope, self.curvature, x)


class PiecewiseLinear(nn.Module):
    """GELU in a few straight pieces: 0 far to the left, x far to the right; public knots and slopes."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.turns = TURNS[pieces]

    def forward(self, x: Tensor) -> Tensor:
        return sum((turn * torch.relu(x - knot) for knot, turn in self.turns), torch.zeros_like(x))


class ScaledTanh(nn.Module):
    """tanh(alpha * x): a DyT without its affine part."""

    alpha: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("alpha", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.alpha * x)


class Clip(nn.Module):
    """x within -bound and bound: a hard DyT without its affine part."""

    bound: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bound", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(x, -self.bound), self.bound)


class SimpleRMS(nn.Module):
    """x over its root mean square in the last axis (Qin et al., arXiv 2307.14995); epsilon is saved too."""

    eps: Tensor

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.register_buffer("eps", torch.tensor(eps))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps)


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
    "quadratic_learned": LearnedQuadratic,
    "relu6": nn.ReLU6,
    "piecewise_4": lambda: PiecewiseLinear(4),
    "piecewise_5": lambda: PiecewiseLinear(5),
    "piecewise_6": lambda: PiecewiseLinear(6),
    "identity": nn.Identity,
}
