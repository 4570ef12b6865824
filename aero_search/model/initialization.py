"""How a model starts: the same seed gives the same weights, on every machine and beside every neighbour."""

from __future__ import annotations

import hashlib
import math

import torch
from torch import nn

from aero_search.architecture import Architecture
from aero_search.model.low_rank import LowRank

# GPT-2's standard deviation and the width it was made for.
GPT2_STD = 0.02
GPT2_WIDTH = 768


def default_init_std(d_model: int) -> float:
    """0.02 * sqrt(768 / d_model): GPT-2's value at its own width.

    Narrow models without LayerNorm never leave the unigram plateau when they start at 0.02 (measured at
    d_model 64 and 128); embeddings have to scale with the linears.
    """
    return GPT2_STD * math.sqrt(GPT2_WIDTH / d_model)


def initialize(model: nn.Module, architecture: Architecture, seed: int, std: float | None = None) -> None:
    """Draw linears and embeddings from N(0, std^2) and set biases to 0, before any reparametrization.

    Each tensor has its own generator, seeded by `seed` and the tensor's name: two architectures that differ
    in one layer start from the same weights everywhere else, so their comparison carries less noise.
    Queries of shaped attention start at 0 and make it the identity (He & Hofmann, arXiv 2311.01906,
    section 4.1), unless they are to be reparametrized: a row of zeros has no direction to normalize.
    """
    std = default_init_std(architecture.d_model) if std is None else std
    zero_queries = architecture.attention.shaped and not (
        architecture.stabilizer.kind in ("weight_norm", "spectral_norm")
        and "qk" in architecture.stabilizer.targets
    )
    # Two factors with r channels between them are a weight of deviation std where each has (std^2 / r)^(1/4).
    factors = {
        id(factor): (std**2 / module.rank) ** 0.25
        for module in model.modules()
        if isinstance(module, LowRank)
        for factor in (module.first, module.second)
    }
    for name, module in model.named_modules():
        if not isinstance(module, nn.Linear | nn.Embedding) or module.weight.is_meta:
            continue
        with torch.no_grad():
            if zero_queries and name.endswith("attention.query"):
                module.weight.zero_()
            else:
                generator = torch.Generator().manual_seed(_tensor_seed(seed, name))
                # Drawn on the CPU whatever the model's device, so that the numbers are the same everywhere.
                wide = factors.get(id(module), std)
                drawn = torch.empty(module.weight.shape, device="cpu").normal_(0.0, wide, generator=generator)
                module.weight.copy_(drawn)
            if isinstance(module, nn.Linear) and module.bias is not None:
                module.bias.zero_()


def _tensor_seed(seed: int, name: str) -> int:
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
