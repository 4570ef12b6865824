"""Normalizations: which module stands in front of attention, of the feed-forward and of the LM head."""

from __future__ import annotations

from torch import nn

from aero_search.architecture import Architecture
from aero_search.architecture.spec import Norm

# GPT-2's and GPT-NeoX's published value, and the one transformers builds Llama with.
LAYERNORM_EPS = 1e-5
RMSNORM_EPS = 1e-6


def build_norm(norm: Norm, architecture: Architecture) -> nn.Module:
    """The module of one normalization over the last axis, d_model wide.

    A layernorm has a bias where the family's linears have one; `none` passes its input through.
    """
    if norm == "layernorm":
        return nn.LayerNorm(architecture.d_model, eps=LAYERNORM_EPS, bias=architecture.has_bias)
    if norm == "rmsnorm":
        return nn.RMSNorm(architecture.d_model, eps=RMSNORM_EPS)
    return nn.Identity()
