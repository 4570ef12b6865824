"""Fronts and hypervolume of minimized points. Shapes: points are (n, m), one row a candidate.

The algorithms are moocore's; what is ours is the scale that makes a hypervolume comparable between studies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import moocore
import numpy as np
import numpy.typing as npt

from aero_search.architecture import Architecture
from aero_search.front.quality import PERPLEXITY, QualityScale

Points = npt.NDArray[np.float64]

# The reference is this much worse than the baseline's cost, so that the baseline itself adds volume.
COST_SLACK = 1.1
# Added to a cost's share of the box before its logarithm: a cost of 0 has none.
FREE = 1e-3


def nondominated(points: Points) -> npt.NDArray[np.bool_]:
    """Which rows no other row dominates; of equal rows the first is kept.

    A row dominates another if it is nowhere larger and somewhere smaller.
    """
    if len(points) == 0:
        return np.zeros(0, dtype=bool)
    return np.asarray(moocore.is_nondominated(points, maximise=False, keep_weakly=False), dtype=bool)


@dataclass(frozen=True)
class Reference:
    """The box in which hypervolume is measured.

    A loss (`QualityScale`; of perplexity itself) counts by its logarithm, from 0 (perfect) to that of the unigram
    perplexity, which is what token frequencies alone reach in any quality; a cost from 0 to 1.1 times the
    baseline's (SM + LN + G at the same size). Hypervolume is a share of that box, 0 to 1.

    Attributes:
        unigram_perplexity: of the corpus; a model not below it has learned nothing.
        costs: the baseline's cost metrics, in the objective's order.
        quality: what the loss is of; None is perplexity.
        baseline: the network that costs are counted from, at the size that is trained; None where it is not known.
    """

    unigram_perplexity: float
    costs: Mapping[str, float]
    baseline: Architecture | None = None
    quality: QualityScale | None = None

    @property
    def scale(self) -> QualityScale:
        """What losses are converted by."""
        return self.quality or QualityScale(PERPLEXITY, self.unigram_perplexity)

    def scaled(self, rows: Sequence[Sequence[float]] | Points) -> Points:
        """Map rows (loss, cost, ...) to shares of the box, (n, m); 1 is the reference."""
        points = np.asarray(rows, dtype=np.float64).reshape(len(rows), 1 + len(self.costs))
        scale = [math.log(self.unigram_perplexity), *(COST_SLACK * cost for cost in self.costs.values())]
        shares = points.copy()
        shares[:, 0] = np.log(points[:, 0])
        return np.asarray(shares / np.asarray(scale), dtype=np.float64)

    def logs(self, rows: Sequence[Sequence[float]]) -> Points:
        """Map rows (loss, cost, ...) to natural logarithms, (n, m); costs as shares of the box."""
        shares = self.scaled(rows)
        logs = np.log(np.maximum(shares, 0.0) + FREE)
        logs[:, 0] = np.log(np.asarray([row[0] for row in rows], dtype=np.float64))
        return np.asarray(logs, dtype=np.float64)

    def hypervolume(self, rows: Sequence[Sequence[float]]) -> float:
        """Share of the box that the rows dominate."""
        if not rows:
            return 0.0
        shares = np.clip(self.scaled(rows), 0.0, None)
        inside = shares[(shares < 1.0).all(axis=1)]
        if len(inside) == 0:
            return 0.0
        return float(moocore.hypervolume(inside, ref=np.ones(shares.shape[1]), maximise=False))


def knee(logs: Points) -> int:
    """The row with the best balance: nearest to the ideal point, the least of each metric.

    Args:
        logs: of a non-empty front, (n, m), from `Reference.logs`: distances are relative changes, so that 50 % of
            perplexity never counts as little as 3 % of a cost, whatever the front spans.
    """
    return int(np.argmin(np.linalg.norm(logs - logs.min(axis=0), axis=1)))
