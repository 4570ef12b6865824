"""The box that a front itself spans: where a study's own box is so wide that nearly everything fills it.

Shapes: n rows of m metrics (perplexity, cost, ...).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import moocore
import numpy as np

from aero_search.front.pareto import Points, Reference, nondominated

# The reference lies this far beyond the front's worst values, as a share of their range: its ends add volume too.
SLACK = 0.1


@dataclass(frozen=True, eq=False)
class FrontBox:
    """From a front's best values (share 0) to a little beyond its worst (share 1), perplexity by its logarithm.

    A study's box reaches up to the unigram perplexity and down to costs of nothing, so that studies can be
    compared; of that the front's own ranges are a few hundredths. Here a front is measured in its own ranges, as
    Ishibuchi et al. (2018, doi 10.1162/evco_a_00226) recommend for comparing what has found it.

    Attributes:
        scale: maps metrics to the shares of the study's box.
        low, high: corners in these shares, (m,).
    """

    scale: Reference
    low: Points
    high: Points

    @classmethod
    def of(cls, rows: Sequence[Sequence[float]], scale: Reference) -> FrontBox:
        """The box of the front of `rows`, which are not empty."""
        shares = scale.scaled(rows)
        front = shares[nondominated(shares)]
        low, worst = front.min(axis=0), front.max(axis=0)
        # Where all are equal any height will do.
        span = np.where(worst > low, worst - low, 1.0)
        return cls(scale, low, worst + SLACK * span)

    def hypervolume(self, rows: Sequence[Sequence[float]]) -> float:
        """Share of the box that the rows dominate; what is better than the box's best adds to it."""
        if not rows:
            return 0.0
        shares = (self.scale.scaled(rows) - self.low) / (self.high - self.low)
        inside = shares[(shares < 1.0).all(axis=1)]
        if len(inside) == 0:
            return 0.0
        return float(moocore.hypervolume(inside, ref=np.ones(shares.shape[1]), maximise=False))


def volume_ratios(
    pairs: Sequence[tuple[Sequence[Sequence[float]], Sequence[Sequence[float]]]],
    reference: Reference,
    own_box: bool = True,
) -> list[float]:
    """The hypervolume of one side over that of the other, a number a pair of fronts; infinite over none.

    Args:
        pairs: rows (loss, cost, ...) of both sides.
        own_box: in the box that all rows of all pairs span; else in the study's.
    """
    if not pairs:
        return []
    shares = reference.scaled([row for pair in pairs for side in pair for row in side])
    low, worst = shares.min(axis=0), shares.max(axis=0)
    box = FrontBox(reference, low, worst + SLACK * np.where(worst > low, worst - low, 1.0))
    volume = box.hypervolume if own_box else reference.hypervolume
    volumes = [(volume(a), volume(b)) for a, b in pairs]
    return [a / b if b else math.inf for a, b in volumes]
