"""Norms that are elementwise, or have no gain; what is affine in them folds into the linears that read them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aero_search.architecture import Architecture
from aero_search.model.elementwise import Clip, ScaledTanh, SimpleRMS
from aero_search.model.initialization import default_init_std


class DynamicTanh(nn.Module):
    """weight * tanh(alpha * x) + bias (Zhu et al., arXiv 2503.10622).

    alpha = start * exp(s) with a learned scalar s. The paper starts at 0.5 for streams of deviation 1; ours start
    with the embedding's, and alpha at 0.5 over that.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.d_model
        self.start = 0.5 / default_init_std(width)
        self.log_ratio = nn.Parameter(torch.zeros(()))
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if architecture.has_bias else None

    @property
    def alpha(self) -> Tensor:
        """What the stream is multiplied by, a scalar above 0."""
        return self.start * self.log_ratio.exp()

    def forward(self, x: Tensor) -> Tensor:
        bounded = self.bounded(self.alpha * x)
        return bounded * self.weight if self.bias is None else torch.addcmul(self.bias, bounded, self.weight)

    def bounded(self, x: Tensor) -> Tensor:
        return torch.tanh(x)

    def core(self) -> nn.Module:
        return ScaledTanh()

    def fold_into(self, core: nn.Module, scale: float) -> tuple[Tensor, Tensor | None]:
        assert isinstance(core, ScaledTanh)
        core.alpha.copy_(self.alpha * scale)
        return self._affine()

    def _affine(self) -> tuple[Tensor, Tensor | None]:
        gain_c = self.weight.detach().double()
        return gain_c, None if self.bias is None else self.bias.detach().double()


class HardDynamicTanh(DynamicTanh):
    """The same with hardtanh: weight * alpha * clip(x, 1 / alpha) + bias, so that only comparisons stay."""

    def bounded(self, x: Tensor) -> Tensor:
        return nn.functional.hardtanh(x)

    def core(self) -> nn.Module:
        return Clip()

    def fold_into(self, core: nn.Module, scale: float) -> tuple[Tensor, Tensor | None]:
        assert isinstance(core, Clip)
        alpha = float(self.alpha.double()) * scale
        core.bound.fill_(1 / abs(alpha))
        gain_c, shift_c = self._affine()
        return gain_c * alpha, shift_c


class SimpleRMSNorm(SimpleRMS):
    """SimpleRMS as a norm of the model."""

    def core(self) -> nn.Module:
        return SimpleRMS(float(self.eps))

    def fold_into(self, core: nn.Module, scale: float) -> tuple[Tensor, Tensor | None]:
        assert isinstance(core, SimpleRMS)
        core.eps.copy_(self.eps / scale**2)
        sign = torch.tensor(1.0 if scale > 0 else -1.0, dtype=torch.float64)
        return sign, None
