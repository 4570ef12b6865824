"""How far a perplexity at a rung is from the one at the end, learned from the curves of a study.

For a training with perplexity p(r) after the share r of its steps, g(r) = log p(r) - log p(1) is what it still has
to gain. Its spread between trainings is what makes a rung unreliable. It is estimated as the scale of a normal
sample under a scaled inverse chi-squared prior (Gelman et al., Bayesian Data Analysis, 3rd ed., section 3.3): with
n finished curves and a prior worth N curves of scale s0(r),

    s(r)^2 = (N s0(r)^2 + sum (g - mean g)^2) / (N + n - 1),

and a new g is Student-t with N + n - 1 degrees of freedom.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from scipy.special import stdtrit

from aero_search.search.rungs.learning_curve import LearningCurve, Share

# s0(r) = START exp(-DECAY r). Measured on the 35 finished candidates of four default searches (space aero, 1,200
# steps): spreads 0.188, 0.080, 0.045, 0.023, 0.012 at shares 1/6 to 5/6; the formula gives 0.177, 0.089, 0.045,
# 0.023, 0.011. It is the whole of the spread while a study has no finished curve.
START, DECAY = 0.35, 4.1
# Finished curves that the prior is worth.
PRIOR_CURVES = 8
# Below this share of the steps rank is not yet settled, and those that were stopped there are missing from what is
# learned, so there a spread never counts as less than s0.
LENIENT_UNTIL = 0.5


def prior_spread(rung: float) -> float:
    """s0 at a share of the steps, 0 to 1; of the logarithm of perplexity."""
    return START * math.exp(-DECAY * rung)


@dataclass(frozen=True)
class Gain:
    """What trainings still gain after a rung, in logarithms of perplexity.

    Attributes:
        mean: None while no finished curve has this rung.
        spread: s(r) of the module's text.
        count: finished curves.
    """

    mean: float | None
    spread: float
    count: int

    def quantile(self, chance: float) -> float:
        """How many spreads a Student variable exceeds with probability `chance`."""
        return _quantile(chance, PRIOR_CURVES + max(self.count - 1, 0))

    def margin_running(self, chance: float) -> float:
        """How far one running training must lead another for a lead at the end to be that sure."""
        return self.quantile(chance) * math.sqrt(2) * self.spread

    def margin_finished(self, chance: float) -> float:
        """How far a running training's foreseen end must lie above a known end; its mean gain is uncertain too."""
        return self.quantile(chance) * self.spread * math.sqrt(1 + 1 / max(self.count, 1))


@dataclass(frozen=True)
class Margins:
    """The gains at every rung of a study's finished curves."""

    finished: tuple[LearningCurve, ...]
    _known: dict[Share, Gain] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, learning_curves: Iterable[LearningCurve]) -> Margins:
        return cls(tuple(training for training in learning_curves if training.end is not None))

    def gain(self, rung: Share) -> Gain:
        """What is gained after a rung."""
        if rung not in self._known:
            self._known[rung] = self._learned(rung)
        return self._known[rung]

    def foreseen(self, training: LearningCurve) -> float | None:
        """The logarithm of the perplexity that a training that was cut off would have ended with, or None.

        That is its last value less the mean gain of the finished ones after that rung.
        """
        if not training.curve or training.at not in training.heights:
            return None
        mean = self.gain(training.at).mean
        return None if mean is None else training.heights[training.at] - mean

    def _learned(self, rung: Share) -> Gain:
        gains = [
            training.heights[rung] - training.end
            for training in self.finished
            if training.end is not None and rung in training.heights
        ]
        at = rung[0] / rung[1]
        prior = prior_spread(at)
        if not gains:
            return Gain(None, prior, 0)
        mean = statistics.fmean(gains)
        squares = sum((gain - mean) ** 2 for gain in gains)
        spread = math.sqrt((PRIOR_CURVES * prior**2 + squares) / (PRIOR_CURVES + len(gains) - 1))
        return Gain(mean, max(spread, prior) if at < LENIENT_UNTIL else spread, len(gains))


@cache
def _quantile(chance: float, freedom: int) -> float:
    return float(-stdtrit(freedom, chance))
