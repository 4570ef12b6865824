"""The held-out loss of a decoder, as training measures it and as anyone can measure it again.

Shapes: B sequences, T = seq_len tokens, batches are (B, T + 1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aero_search.architecture import Architecture
from aero_search.data.corpus import Corpus
from aero_search.data.datamodule import TokenDataModule
from aero_search.training.recipe import Recipe


def cross_entropy_sum(decoder: nn.Module, batch_bt: Tensor) -> tuple[float, int]:
    """Nats summed over the targets of one batch, and how many targets there are."""
    inputs_bt, targets_bt = batch_bt[:, :-1], batch_bt[:, 1:]
    logits_btv = decoder(inputs_bt).float()
    nats = torch.nn.functional.cross_entropy(logits_btv.flatten(0, 1), targets_bt.flatten(), reduction="sum")
    return float(nats), targets_bt.numel()


@torch.no_grad()
def held_out_loss(decoder: nn.Module, architecture: Architecture, recipe: Recipe, corpus: Corpus) -> float:
    """Mean cross-entropy in nats a token over the recipe's held-out windows.

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
    nats, tokens = 0.0, 0
    for batch_bt in data.val_dataloader():
        batch_nats, batch_tokens = cross_entropy_sum(decoder, batch_bt)
        nats, tokens = nats + batch_nats, tokens + batch_tokens
    return nats / tokens
