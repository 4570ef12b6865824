"""Verdicts on a training run: diverged, or stuck on the unigram plateau."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from aero_search.data.corpus import Corpus, open_tokens

# A model that has learned nothing but token frequencies sits at the unigram loss. Measured on the proxy: stuck
# runs end at 0.96 to 1.0 of it, the worst sound run at 0.81 (perplexities 324-420 and 141, unigram 420).
PLATEAU_SHARE = 0.95
# Sound models leave the plateau before this share of their steps; one that has not is stopped there.
PLATEAU_FROM = 0.5
# Of the unigram loss: held-out text that is told so much worse than by token frequencies is no plateau. It happens
# where the running statistics of a norm have left those of the batches.
LOST_SHARE = 2.0
# Below this unigram perplexity nothing is a plateau: sound classifiers of two hard classes end as near to it.
PLATEAU_LEAST = 16.0


def unigram_loss(train: npt.NDArray[np.uint16], validation: npt.NDArray[np.uint16], vocab_size: int) -> float:
    """Cross-entropy in nats a token of `validation` under the token frequencies of `train` (add-one)."""
    counts = np.bincount(train, minlength=vocab_size).astype(np.float64) + 1.0
    log_p = np.log(counts / counts.sum())
    seen = np.bincount(validation, minlength=vocab_size)
    return float(-(seen * log_p).sum() / seen.sum())


def unigram_accuracy(
    train: npt.NDArray[np.uint16], validation: npt.NDArray[np.uint16], vocab_size: int
) -> float:
    """The share of `validation` that is the most frequent token of `train`."""
    return float(np.mean(validation == np.bincount(train, minlength=vocab_size).argmax()))


@dataclass(frozen=True)
class Unigram:
    """What token frequencies alone reach on a corpus's held-out split.

    Attributes:
        loss: nats a token.
        accuracy: share of the next tokens, 0 to 1.
        bytes_per_token: UTF-8 bytes of the held-out text a token; None where the corpus does not say.
    """

    loss: float
    accuracy: float
    bytes_per_token: float | None = None

    @classmethod
    def of(cls, corpus: Corpus) -> Unigram:
        """Count a corpus's tokens; of a labelled set its classes."""
        train, validation = open_tokens(corpus.train_path), open_tokens(corpus.validation_path)
        size = corpus.vocab_size
        if corpus.answers_only:
            assert corpus.chunk is not None
            answers = np.sort([token for _, token in corpus.labels])
            stride = slice(corpus.chunk, None, corpus.chunk + 1)
            size = len(answers)
            train, validation = (
                np.searchsorted(answers, tokens[stride]).astype(np.uint16) for tokens in (train, validation)
            )
        return cls(
            unigram_loss(train, validation, size),
            unigram_accuracy(train, validation, size),
            corpus.validation_bytes_per_token,
        )

    @property
    def perplexity(self) -> float:
        return perplexity(self.loss)

    @property
    def bits_per_byte(self) -> float | None:
        """None where the corpus does not say how many bytes its text has."""
        return bits_per_byte(self.loss, self.bytes_per_token)


def perplexity(loss: float) -> float:
    """exp of a loss in nats a token, capped where a float would overflow; no number stays none."""
    return math.exp(min(loss, 700.0)) if math.isfinite(loss) else math.nan


def bits_per_byte(loss: float, bytes_per_token: float | None) -> float | None:
    """A loss in nats a token as bits a byte of the text, which compares tokenizers.

    Args:
        bytes_per_token: UTF-8 bytes of the held-out text a token; None where the corpus does not say.
    """
    return loss / (math.log(2) * bytes_per_token) if bytes_per_token else None


def judge_validation(
    step: int, steps: int, perplexity: float, unigram_perplexity: float
) -> tuple[Literal["plateau", "diverged"], str] | None:
    """Whether a validation shows that its training has no future: the one place where that is decided.

    A training asks it of itself, and a search's rungs ask it of the curves that are reported.

    Args:
        step, steps: done, and of the whole training.
        perplexity, unigram_perplexity: of the held-out split.

    Returns:
        The verdict and the reason in words; None where nothing is wrong.
    """
    if not math.isfinite(perplexity):
        return "diverged", f"diverged at step {step:,} of {steps:,}"
    if step < PLATEAU_FROM * steps or not on_plateau(perplexity, unigram_perplexity):
        return None
    if math.log(perplexity) > LOST_SHARE * math.log(unigram_perplexity):
        return "diverged", f"diverged by step {step:,} of {steps:,}"
    return "plateau", f"still at the unigram loss at step {step:,} of {steps:,}"


def on_plateau(perplexity: float, unigram_perplexity: float) -> bool:
    """Whether a perplexity shows nothing learned beyond token frequencies."""
    if unigram_perplexity < PLATEAU_LEAST:
        return False
    return math.log(perplexity) > PLATEAU_SHARE * math.log(unigram_perplexity)


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
