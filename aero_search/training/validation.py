"""What a decoder reaches on held-out text, as training measures it and as anyone can measure it again.

Shapes: B sequences, T = seq_len tokens, batches are (B, T + 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aero_search.architecture import Architecture
from aero_search.data.corpus import Corpus
from aero_search.data.datamodule import TokenDataModule
from aero_search.training.recipe import Recipe


@dataclass(frozen=True)
class HeldOut:
    """What a decoder reaches on held-out windows, added up target by target.

    Attributes:
        nats: cross-entropy summed over the targets.
        hits: targets that are the most likely token.
        targets: how many there are.
    """

    nats: float = 0.0
    hits: int = 0
    targets: int = 0

    def __add__(self, other: HeldOut) -> HeldOut:
        return HeldOut(self.nats + other.nats, self.hits + other.hits, self.targets + other.targets)

    @property
    def loss(self) -> float:
        """Mean cross-entropy, nats a target; NaN without one."""
        return self.nats / self.targets if self.targets else math.nan

    @property
    def accuracy(self) -> float:
        """The share of the targets that are hit, 0 to 1; NaN without one."""
        return self.hits / self.targets if self.targets else math.nan


def score(decoder: nn.Module, batch_bt: Tensor) -> HeldOut:
    """What a decoder, tokens (B, T) to logits (B, T, V), reaches on one batch."""
    inputs_bt, targets_bt = batch_bt[:, :-1], batch_bt[:, 1:]
    logits_nv, targets_n = decoder(inputs_bt).float().flatten(0, 1), targets_bt.flatten()
    nats = torch.nn.functional.cross_entropy(logits_nv, targets_n, reduction="sum")
    hits = (logits_nv.argmax(dim=-1) == targets_n).sum()
    return HeldOut(float(nats), int(hits), targets_n.numel())


@torch.no_grad()
def held_out(decoder: nn.Module, architecture: Architecture, recipe: Recipe, corpus: Corpus) -> HeldOut:
    """What a decoder reaches on the recipe's held-out windows.

    Args:
        decoder: in evaluation mode; tokens (B, T) to logits (B, T, V).

    Raises:
        RequestError: the corpus is too small for seq_len.
    """
    data = TokenDataModule(
        corpus,
        seq_len=architecture.seq_len,
        batch_size=recipe.batch_size,
        steps=1,
        seed=0,
        validation_sequences=recipe.validation_sequences,
    )
    return sum((score(decoder, batch_bt) for batch_bt in data.val_dataloader()), HeldOut())
