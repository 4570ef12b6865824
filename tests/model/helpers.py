"""Small architectures and a short training loop that the model's tests share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from aero_search.architecture import Architecture, Layer
from aero_search.model import Decoder, parameter_groups

VOCAB = 31
LENGTH = 12


def tiny(
    n_layer: int = 2, norm: Any = "none", activation: Any = "relu", ffn: Any = "full", **rest: Any
) -> Any:
    """An architecture of a few thousand weights; `rest` are fields of `Architecture`."""
    fields: dict[str, Any] = {
        "n_head": 2,
        "d_model": 16,
        "seq_len": LENGTH,
        "vocab_size": VOCAB,
        "layers": tuple(Layer(norm, activation, ffn) for _ in range(n_layer)),
    }
    return Architecture(**(fields | rest))


def batch(size: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Inputs and the tokens that follow them, (size, LENGTH) each."""
    tokens = torch.randint(VOCAB, (size, LENGTH + 1), generator=torch.Generator().manual_seed(seed))
    return tokens[:, :-1], tokens[:, 1:]


def train(model: Decoder, steps: int = 20, lr: float = 3e-3) -> list[float]:
    """Train on one batch over and over; returns the cross-entropy before each step."""
    optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay=0.1), lr=lr)
    losses = []
    for _ in range(steps):
        loss = model.loss(*batch())
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        losses.append(loss.cross_entropy.item())
    return losses
