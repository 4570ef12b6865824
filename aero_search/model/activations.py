"""The nonlinearities of full feed-forwards, elementwise on any shape."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aero_search.architecture.spec import Activation

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


def learned_slope() -> nn.PReLU:
    """A leaky ReLU whose one slope is learned; layers that share it hold the same module."""
    return nn.PReLU(init=LEAKY_SLOPE)


def build_activation(activation: Activation, shared_slope: nn.PReLU | None = None) -> nn.Module:
    """The module of one activation.

    Args:
        activation: its name in `Layer.activation`.
        shared_slope: the module that every `leaky_relu_shared` layer of one decoder holds.
    """
    if activation == "leaky_relu_shared":
        return shared_slope if shared_slope is not None else learned_slope()
    if activation == "leaky_relu_learned":
        return learned_slope()
    modules: dict[str, nn.Module] = {
        "gelu": nn.GELU(),
        "gelu_tanh": nn.GELU(approximate="tanh"),
        "relu": nn.ReLU(),
        "leaky_relu": nn.LeakyReLU(LEAKY_SLOPE),
        "squared_relu": SquaredReLU(),
        "quadratic": Quadratic(),
        "silu": nn.SiLU(),
        "identity": nn.Identity(),
    }
    return modules[activation]
