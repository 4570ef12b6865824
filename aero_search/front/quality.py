"""The qualities that a training measures, their directions, and the loss that each is compared by.

The one place that knows which quality is better higher. Light: tables ask it too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Metric = Literal[
    "perplexity", "bits_per_byte", "accuracy", "latency_s", "communication_bytes", "flops", "rounds", "usd"
]
PERPLEXITY: Metric = "perplexity"
BITS_PER_BYTE: Metric = "bits_per_byte"
ACCURACY: Metric = "accuracy"
# Everything that a training measures and an objective may name; all but MAXIMIZED are better lower.
QUALITIES: tuple[Metric, ...] = (PERPLEXITY, BITS_PER_BYTE, ACCURACY)
MAXIMIZED: frozenset[str] = frozenset({ACCURACY})


def as_minimized(quality: str, value: float) -> float:
    """A value of a quality as one that is better lower, in the same unit: of an accuracy the error."""
    return 1.0 - value if quality in MAXIMIZED else value


@dataclass(frozen=True)
class QualityScale:
    """A study's quality, and its one conversion into the loss that front, samplers and rungs compare.

    The loss is better lower, above 0, and natural in its logarithm, as perplexity is. For another quality it is the
    share of the way from perfect to what token frequencies alone reach, taken of the logarithm of the unigram
    perplexity: loss 1 is perfect, the unigram perplexity is token frequencies alone. So bits per byte have the
    perplexity itself as their loss, and spreads, ties and margins in logarithms of perplexity keep their size.

    Attributes:
        name: of the quality.
        unigram_perplexity: of the corpus.
        worst: what token frequencies alone reach in the quality; None for perplexity, where it is the former.
    """

    name: Metric
    unigram_perplexity: float
    worst: float | None = None

    @classmethod
    def of(cls, reference: Mapping[str, Any]) -> QualityScale:
        """The one that a study keeps with its reference; studies of earlier versions have perplexity."""
        name: Metric = reference.get("quality") or PERPLEXITY
        return cls(name, float(reference.get("unigram_perplexity", math.inf)), reference.get("worst"))

    def loss(self, value: float) -> float:
        """The loss of a value; of a perplexity itself."""
        if self.worst is None:
            return value
        share = as_minimized(self.name, value) / self._span
        return math.exp(min(share * math.log(self.unigram_perplexity), 700.0))

    def value(self, loss: float) -> float:
        """The value that has a loss."""
        if self.worst is None:
            return loss
        return as_minimized(self.name, self._span * math.log(loss) / math.log(self.unigram_perplexity))

    @property
    def maximized(self) -> bool:
        return self.name in MAXIMIZED

    @property
    def _span(self) -> float:
        assert self.worst is not None, "perplexity is its own loss"
        return as_minimized(self.name, self.worst)
