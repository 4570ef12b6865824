"""Norms by statistics that inference takes from training, so that they are affine there and cost nothing.

In training they divide by what the batch at hand has over its sequences and positions; validation and inference
divide by a running mean of that, so that no token is read through those that follow it. Shapes: n tokens (of all
sequences and positions), c channel of the stream (d_model).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# PyTorch's epsilon. Its momentum of 0.1 follows single batches more than a training of a thousand steps needs.
EPS = 1e-5
MOMENTUM = 0.05


class RunningNorm(nn.Module):
    """weight * (x - mean) / sqrt(square + eps) + bias, for (..., d_model).

    Batches count alike until there are 1 / MOMENTUM of them, so that short trainings have statistics of their own.
    Under several devices the statistics are those of the whole batch, and gradients pass through them.

    Attributes:
        frozen: training normalizes by the running statistics too, and leaves them as they are.
    """

    running_mean: Tensor | None
    running_square: Tensor
    updates: Tensor
    frozen = False

    def __init__(self, width: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def statistics(self, x_nc: Tensor) -> tuple[Tensor | None, Tensor]:
        """What is subtracted, None for nothing, and the square of what it is divided by, of one batch."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        if self.frozen or not self.training:
            return self._affine(x, self.running_mean, self.running_square)
        # Sums over thousands of tokens lose digits in half precision.
        exact = x if x.dtype == torch.float64 else x.float()
        mean, square = self.statistics(exact.flatten(0, -2))
        self._follow(mean, square)
        return self._affine(exact, mean, square).to(self.weight.dtype)

    def gap(self, x: Tensor) -> Tensor:
        """How far a batch is from the running statistics, a scalar: 0 where it has the same.

        The batch normalized by them has means m and deviations s by channel, where 0 and 1 are meant; the gap is
        sqrt(mean(m^2 + (s - 1)^2)), in running deviations.
        """
        mean, square = self.statistics(x.detach().to(self.running_square.dtype).flatten(0, -2))
        deviation = (self.running_square + EPS).sqrt()
        gap = ((square + EPS).sqrt() / deviation - 1).square()
        if mean is not None and self.running_mean is not None:
            gap = gap + ((mean - self.running_mean) / deviation).square()
        return gap.mean().sqrt()

    def core(self) -> nn.Module:
        return nn.Identity()

    def fold_into(self, core: nn.Module, scale: float) -> tuple[Tensor, Tensor | None]:
        gain_c = self.weight.detach().double() * (self.running_square.double() + EPS).rsqrt()
        shift_c = torch.zeros_like(gain_c) if self.bias is None else self.bias.detach().double()
        if self.running_mean is not None:
            shift_c = shift_c - self.running_mean.double() * gain_c
        return gain_c * scale, shift_c

    @torch.no_grad()
    def _follow(self, mean: Tensor | None, square: Tensor) -> None:
        self.updates += 1
        share = self.updates.to(self.running_square.dtype).reciprocal().clamp(min=MOMENTUM)
        self.running_square.lerp_(square.to(self.running_square.dtype), share)
        if mean is not None and self.running_mean is not None:
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)

    def _affine(self, x: Tensor, mean: Tensor | None, square: Tensor) -> Tensor:
        gain_c = self.weight * (square + EPS).rsqrt()
        shift_c: Tensor | None = self.bias
        if mean is not None:
            shift_c = -mean * gain_c if shift_c is None else shift_c - mean * gain_c
        return x * gain_c if shift_c is None else torch.addcmul(shift_c, x, gain_c)


class BatchNorm(RunningNorm):
    """Mean and variance of each channel (Ioffe & Szegedy, arXiv 1502.03167)."""

    def __init__(self, width: int, bias: bool) -> None:
        super().__init__(width, bias)
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_square", torch.ones(width))

    def statistics(self, x_nc: Tensor) -> tuple[Tensor | None, Tensor]:
        if not _several_devices(self):
            variance_c, mean_c = torch.var_mean(x_nc, dim=0, correction=0)
            return mean_c, variance_c
        mean_c = _mean_over_devices(x_nc.mean(0))
        return mean_c, _mean_over_devices((x_nc - mean_c).square().mean(0))


class StaticNorm(RunningNorm):
    """One root mean square of all channels, and nothing subtracted."""

    def __init__(self, width: int, bias: bool) -> None:
        super().__init__(width, bias)
        self.running_mean = None
        self.register_buffer("running_square", torch.ones(()))

    def statistics(self, x_nc: Tensor) -> tuple[Tensor | None, Tensor]:
        square = x_nc.square().mean()
        return None, _mean_over_devices(square) if _several_devices(self) else square


def running_norms(model: nn.Module) -> dict[str, RunningNorm]:
    """The norms of a model that hold running statistics, by their names in it."""
    return {name: module for name, module in model.named_modules() if isinstance(module, RunningNorm)}


def running_statistics(model: nn.Module) -> Iterator[Tensor]:
    """What those norms have learned of their batches; an average of weights averages it too."""
    for norm in running_norms(model).values():
        yield norm.running_square
        if norm.running_mean is not None:
            yield norm.running_mean


@contextmanager
def measured_gaps(model: nn.Module) -> Iterator[dict[str, float]]:
    """Fills a mapping, by norm, with the gaps of what the model reads within the context (`RunningNorm.gap`)."""
    gaps: dict[str, float] = {}

    def look(name: str, norm: RunningNorm, x: Tensor) -> None:
        gaps[name] = float(norm.gap(x))

    hooks = [
        norm.register_forward_pre_hook(lambda norm, args, name=name: look(name, norm, args[0]))
        for name, norm in running_norms(model).items()
    ]
    try:
        yield gaps
    finally:
        for hook in hooks:
            hook.remove()


def _several_devices(norm: nn.Module) -> bool:
    return norm.training and torch.distributed.is_available() and torch.distributed.is_initialized()


def _mean_over_devices(value: Tensor) -> Tensor:
    """The mean over the processes of a training, whose batches are equally large; gradients pass."""
    from torch.distributed.nn.functional import all_reduce

    total: Tensor = all_reduce(value)  # type: ignore[no-untyped-call] # torch leaves it so
    return total / torch.distributed.get_world_size()
