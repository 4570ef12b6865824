"""Verdicts on a training run: diverged, or stuck on the unigram plateau."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from aero_search.data.corpus import Corpus, open_tokens

# A model that has learned nothing but token frequencies sits at the unigram loss. Measured on the proxy: stuck
# runs end at 0.96 to 1.0 of it, the worst sound run at 0.81 (perplexities 324-420 and 141, unigram 420).
PLATEAU_SHARE = 0.95


def unigram_loss(train: npt.NDArray[np.uint16], validation: npt.NDArray[np.uint16], vocab_size: int) -> float:
    """Cross-entropy in nats a token of `validation` under the token frequencies of `train` (add-one)."""
    counts = np.bincount(train, minlength=vocab_size).astype(np.float64) + 1.0
    log_p = np.log(counts / counts.sum())
    seen = np.bincount(validation, minlength=vocab_size)
    return float(-(seen * log_p).sum() / seen.sum())


def corpus_unigram_loss(corpus: Corpus) -> float:
    """`unigram_loss` of a corpus's held-out split."""
    train, validation = open_tokens(corpus.train_path), open_tokens(corpus.validation_path)
    return unigram_loss(train, validation, corpus.vocab_size)


def perplexity(loss: float) -> float:
    """exp of a loss in nats a token, capped where a float would overflow."""
    return math.exp(min(loss, 700.0))


def on_plateau(validation_loss: float, unigram: float) -> bool:
    """Whether a validation loss shows nothing learned beyond token frequencies."""
    return validation_loss > PLATEAU_SHARE * unigram


def divergence(step: int, lr: float, layer: int | None) -> str:
    """Say where a run left the numbers.

    Args:
        step: the optimizer step whose loss was not finite, counted from 1.
        lr: the recipe's peak learning rate.
        layer: the first whose attention had collapsed when last measured, see `collapsed_layer`; None if none had.
    """
    if layer is None:
        return f"diverged at step {step:,}, learning rate {lr:g}"
    return f"collapsed at layer {layer}, step {step:,}, learning rate {lr:g}"
