"""What a rule knows of one training, and what it says."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

State = Literal["running", "finished", "stopped", "plateau", "diverged"]
# Steps at a validation and steps of the whole training, without common factors: trainings of different lengths
# are compared where they have done the same share of their steps.
Share = tuple[int, int]


@dataclass(frozen=True)
class LearningCurve:
    """A training as far as it has got.

    Attributes:
        number: names it in reasons.
        costs: exact, in the objective's order.
        steps: of the whole training.
        curve: (step, perplexity) of every validation, steps rising.
    """

    number: int
    costs: tuple[float, ...]
    steps: int
    curve: tuple[tuple[int, float], ...]
    state: State = "running"

    @cached_property
    def heights(self) -> dict[Share, float]:
        """Logarithms of perplexity by share of the steps; what is no number is left out."""
        return {
            share(step, self.steps): math.log(value)
            for step, value in self.curve
            if math.isfinite(value) and value > 0
        }

    @property
    def at(self) -> Share:
        """Where it is now.

        Raises:
            IndexError: it has no validation yet.
        """
        return share(self.curve[-1][0], self.steps)

    @property
    def end(self) -> float | None:
        """Logarithm of the perplexity after the last step; None where it was not reached."""
        return self.heights.get((1, 1)) if self.state == "finished" else None


@dataclass(frozen=True)
class Decision:
    """What becomes of a training at a rung.

    Attributes:
        reason: in words, where it stops.
        by: the number of the training that dominates it, where one does.
    """

    verdict: Literal["go on", "stopped", "plateau", "diverged"]
    reason: str = ""
    by: int | None = None

    @property
    def stop(self) -> bool:
        return self.verdict != "go on"


GO_ON = Decision("go on")


def share(step: int, steps: int) -> Share:
    """A step as a share of the steps, in lowest terms."""
    common = math.gcd(step, steps)
    return step // common, steps // common


def hopeful(learning_curves: Iterable[LearningCurve]) -> list[LearningCurve]:
    """Those that are, or may come to be, on the front."""
    return [training for training in learning_curves if training.state in ("running", "finished")]
