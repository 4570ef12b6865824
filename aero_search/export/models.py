"""The networks of an export: the trained decoder, the folded one, and how far another library's is from them.

Shapes: B batch, T position, V vocabulary entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


@torch.no_grad()
def cached_difference(
    theirs: Any, architecture: Architecture, ours: Callable[[Tensor], Tensor] | None = None
) -> float:
    """How far the logits of transformers' `generate` with its default cache are from those of one pass without.

    Generation goes to the end of the context or 16 tokens. A cache that is not read gives garbage without an error,
    so that only the logits tell.

    Args:
        ours: the pass without a cache, from tokens (B, T) to logits (B, T, V); the model's own if None.

    Returns:
        The largest difference, in units of the largest logit where that is above 1.
    """
    prompt = max(architecture.seq_len // 2, 1)
    count = min(architecture.seq_len - prompt, 16)
    if count < 1:
        return 0.0
    out = theirs.generate(
        example_tokens(architecture, 2, prompt),
        max_new_tokens=count,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_logits=True,
    )
    once = ours if ours is not None else lambda tokens_bt: theirs(tokens_bt, use_cache=False).logits
    logits_btv = once(out.sequences)[:, prompt - 1 : -1]
    apart = (torch.stack(out.logits, dim=1).float() - logits_btv).abs().max()
    return float(apart / logits_btv.abs().max().clamp(min=1))
