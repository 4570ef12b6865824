"""Stops what another candidate beats on every cost, and on perplexity so clearly that the end will not change it.

Shapes: n trainings that have been at one rung, m costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aero_search.search.rungs.learning_curve import GO_ON, Decision, LearningCurve, Share, hopeful
from aero_search.search.rungs.margins import Gain, Margins
from aero_search.search.spec import RungsSpec

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rivals:
    """The trainings at one rung that a candidate is compared with: those that are or may come to be on the front.

    Attributes:
        numbers: (n,).
        costs: (n, m).
        heights: logarithms of perplexity at the rung, (n,).
        ends: the same after the last step, NaN where it is not reached, (n,).
        gain: what is gained after the rung.
    """

    numbers: npt.NDArray[np.int64]
    costs: Array
    heights: Array
    ends: Array
    gain: Gain

    @classmethod
    def at(cls, rung: Share, learning_curves: Sequence[LearningCurve], margins: Margins) -> Rivals:
        """Those of `learning_curves` that have been at the rung."""
        here = [training for training in hopeful(learning_curves) if rung in training.heights]
        ends = [math.nan if training.end is None else training.end for training in here]
        return cls(
            np.array([training.number for training in here], dtype=np.int64),
            np.array([training.costs for training in here], dtype=np.float64),
            np.array([training.heights[rung] for training in here]),
            np.array(ends),
            margins.gain(rung),
        )

    def beating(self, spec: RungsSpec, own: LearningCurve) -> npt.NDArray[np.intp]:
        """Which cost no more than `own` and will, but for the chance of `spec`, end with less perplexity.

        They must be ahead at the rung itself: on curves that do not cross, none that will be on the front is
        stopped. Where one has finished, its end is known and must lie far enough below the end foreseen for `own`.
        """
        if len(self.numbers) == 0 or own.at not in own.heights:
            return np.zeros(0, dtype=np.intp)
        height, gain = own.heights[own.at], self.gain
        lead = height - self.heights
        clear = lead > gain.margin_running(spec.chance)
        if gain.mean is not None:
            below = height - gain.mean - self.ends > gain.margin_finished(spec.chance)
            clear = np.where(np.isnan(self.ends), clear, (lead > 0) & below)
        no_dearer = (self.costs <= np.array(own.costs)).all(axis=1)
        return np.flatnonzero(clear & no_dearer & (self.numbers != own.number))


def judge(spec: RungsSpec, own: LearningCurve, rivals: Rivals, loss: str = "perplexity") -> Decision:
    """What becomes of `own` at the last point of its curve."""
    beating = rivals.beating(spec, own)
    if len(beating) == 0:
        return GO_ON
    best = beating[np.argmin(rivals.heights[beating])]
    number, step = int(rivals.numbers[best]), own.curve[-1][0]
    lead = -math.expm1(float(rivals.heights[best]) - own.heights[own.at])
    return Decision(
        "stopped",
        f"stopped at step {step:,} of {own.steps:,}: #{number} costs no more and has {100 * lead:.0f} % less "
        f"{loss} there",
        number,
    )
