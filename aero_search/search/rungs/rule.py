"""The two questions that a search asks: does this training go on, and which of the stopped ones may?

Both are functions of what is known at that moment and of nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from aero_search.search.rungs import asha, dominance
from aero_search.search.rungs.learning_curve import GO_ON, Decision, LearningCurve
from aero_search.search.rungs.margins import Margins
from aero_search.search.spec import RungsSpec
from aero_search.training.health import judge_validation


def decide(
    rungs: RungsSpec,
    own: LearningCurve,
    others: Sequence[LearningCurve],
    unigram_perplexity: float,
    loss: str = "perplexity",
) -> Decision:
    """Whether a training goes on after the validation that its curve ends with.

    Args:
        own: with at least one validation.
        others: the study's other trainings as they are now; `own` among them is left out.
        unigram_perplexity: of the corpus; infinite where curves are of another quality's loss.
        loss: what the curves are of, in words.
    """
    step, perplexity = own.curve[-1]
    if found := judge_validation(step, own.steps, perplexity, unigram_perplexity):
        return Decision(*found)
    if step >= own.steps:
        return GO_ON
    if rungs.name == "none" or step < rungs.first * own.steps * (1 - 1e-9):
        return GO_ON
    others = [other for other in others if other.number != own.number]
    if rungs.name == "asha":
        return asha.judge(rungs, own, others)
    return dominance.judge(rungs, own, dominance.Rivals.at(own.at, others, Margins.of(others)), loss)


def reconsider(rungs: RungsSpec, learning_curves: Sequence[LearningCurve]) -> list[int]:
    """The stopped trainings that would not be stopped now, the least perplexity that is foreseen first.

    Returns:
        Their numbers.
    """
    margins = Margins.of(learning_curves)
    free: list[LearningCurve] = []
    stopped = [training for training in learning_curves if training.state == "stopped" and training.curve]
    for rung in {training.at for training in stopped}:
        here = [training for training in stopped if training.at == rung]
        if rungs.name == "none":
            free += here
        elif rungs.name == "asha":
            kept = asha.promoted(rungs, asha.present(learning_curves, rung), rung)
            free += [training for training in here if training.number in kept]
        else:
            rivals = dominance.Rivals.at(rung, learning_curves, margins)
            free += [training for training in here if not dominance.judge(rungs, training, rivals).stop]

    def hope(training: LearningCurve) -> tuple[bool, float, int]:
        end = margins.foreseen(training)
        # Without a finished curve to compare with, the perplexity at the rung itself is all there is.
        return (
            end is None,
            training.heights.get(training.at, math.inf) if end is None else end,
            training.number,
        )

    return [training.number for training in sorted(free, key=hope)]
