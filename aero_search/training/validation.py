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
from aero_search.data.datamodule import TokenDataModule, inputs_and_targets
from aero_search.training.recipe import Recipe


@dataclass(frozen=True)
class HeldOut:
    """What a decoder reaches on held-out windows, added up target by target.

    Attributes:
        nats: cross-entropy summed over the targets.
        hits: targets that are the most likely token.
        targets: how many there are: tokens, or the texts of a labelled set.
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


def score(decoder: nn.Module, batch_bt: Tensor, answers_only: bool = False) -> HeldOut:
    """What a decoder, tokens (B, T) to logits (B, T, V), reaches on one batch.

    Args:
        answers_only: the last token of each sequence is its only target.
    """
    inputs_bt, targets_bt = inputs_and_targets(batch_bt, answers_only)
    logits_btv = decoder(inputs_bt).float()
    if answers_only:
        logits_btv, targets_bt = logits_btv[:, -1:], targets_bt[:, -1:]
    logits_nv, targets_n = logits_btv.flatten(0, 1), targets_bt.flatten()
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
    batches = data.val_dataloader()
    return sum((score(decoder, batch_bt, corpus.answers_only) for batch_bt in batches), HeldOut())
