"""The networks of an export: the trained decoder, the folded one, and how far another library's is from them.

Shapes: B batch, T position, V vocabulary entry.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from aero_search.architecture import Architecture
from aero_search.export.choice import Choice
from aero_search.model import Decoder, FoldedDecoder, build_model, fold, load_weights
from aero_search.training.result import WEIGHTS_FILE


def trained_and_folded(choice: Choice) -> tuple[Decoder, FoldedDecoder]:
    """Both in evaluation mode, on the CPU.

    Raises:
        AeroSearchError: the weights are gone, or a learned scale cannot be folded.
    """
    model = build_model(choice.record.architecture, seed=0)
    load_weights(model, choice.file(WEIGHTS_FILE))
    return model.eval(), fold(model)


def example_tokens(architecture: Architecture, batch: int, length: int) -> Tensor:
    """Random tokens (B, T), the same every time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(architecture.vocab_size, (batch, length), generator=generator)


@torch.no_grad()
def difference(ours: Decoder, theirs: Callable[[Tensor], Tensor], tokens_bt: Tensor) -> float:
    """The largest difference between two models' logits, in units of the largest logit where that is above 1."""
    logits_btv = ours(tokens_bt)
    apart = (theirs(tokens_bt).float() - logits_btv).abs().max()
    return float(apart / logits_btv.abs().max().clamp(min=1))
