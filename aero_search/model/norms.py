"""Normalizations: which module stands in front of attention, of the feed-forward and of the LM head, and in
each head behind queries and keys.

A module maps (..., d_model) to the same shape. One whose card says `absorbs_scale` is an `nn.LayerNorm` or an
`nn.RMSNorm`, which folding knows, or one that `AbsorbsScale`; one whose card says `folds` is one that `Folds`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from aero_search.architecture import Architecture
from aero_search.architecture.operations import NONE, NORMS
from aero_search.architecture.registry import Implementations
from aero_search.model.folding_norms import DynamicTanh, HardDynamicTanh, SimpleRMSNorm
from aero_search.model.running_norms import BatchNorm, StaticNorm

# GPT-2's and GPT-NeoX's published value, and the one transformers builds Llama with.
LAYERNORM_EPS = 1e-5
RMSNORM_EPS = 1e-6

BUILDERS: Implementations[Callable[[Architecture], nn.Module]] = Implementations(NORMS, "torch")
"""By name, what makes the module for one architecture, d_model wide."""


@runtime_checkable
class AbsorbsScale(Protocol):
    """A norm that can take the scale of the residual stream into its own numbers."""

    def absorb(self, scale: float, gain: float) -> None:
        """Compute gain * norm(scale * x) from now on, where it computed norm(x)."""


@runtime_checkable
class Folds(Protocol):
    """A norm whose affine part goes into the linears that read it."""

    def core(self) -> nn.Module:
        """What stays of it in a folded model, with its tensors: `nn.Identity` where nothing does."""

    def fold_into(self, core: nn.Module, scale: float) -> tuple[Tensor, Tensor | None]:
        """Fill the core such that norm(scale * x) = gain * core(x) + shift.

        Returns:
            gain, (d_model,) or a scalar, and shift, (d_model,) or None for nothing; in float64.
        """


@BUILDERS.register("layernorm")
def _layernorm(architecture: Architecture) -> nn.Module:
    return nn.LayerNorm(architecture.d_model, eps=LAYERNORM_EPS, bias=architecture.has_bias)


@BUILDERS.register("rmsnorm")
def _rmsnorm(architecture: Architecture) -> nn.Module:
    return nn.RMSNorm(architecture.d_model, eps=RMSNORM_EPS)


@BUILDERS.register("none")
def _none(architecture: Architecture) -> nn.Module:
    return nn.Identity()


@BUILDERS.register("batchnorm")
def _batchnorm(architecture: Architecture) -> nn.Module:
    return BatchNorm(architecture.d_model, bias=architecture.has_bias)


@BUILDERS.register("static")
def _static(architecture: Architecture) -> nn.Module:
    return StaticNorm(architecture.d_model, bias=architecture.has_bias)


@BUILDERS.register("simple_rms")
def _simple_rms(architecture: Architecture) -> nn.Module:
    return SimpleRMSNorm(RMSNORM_EPS)


BUILDERS.register("dyt")(DynamicTanh)
BUILDERS.register("hard_dyt")(HardDynamicTanh)


def build_head_norm(architecture: Architecture) -> nn.Module | None:
    """The norm of the queries or keys of every head, (..., d_head) to the same; None where they have none."""
    name, width = architecture.attention.qk_norm, architecture.d_head
    # Builders make what is as wide as the stream.
    return None if name == NONE else build_norm(name, replace(architecture, d_model=width, n_head=1))


def build_norm(name: str, architecture: Architecture) -> nn.Module:
    """The module of one normalization; `none` passes its input through.

    Raises:
        RequestError: nothing in PyTorch runs it.
    """
    return BUILDERS[name](architecture)
