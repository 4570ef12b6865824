"""A study's trials as its rules for stopping see them, and which trials are candidates of their own."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from aero_search.search.rungs.learning_curve import LearningCurve, State
from aero_search.workers.trial_queue import CONFIRMS, RESUMES

_CLAIMED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)


def candidates(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that use up the budget: in training, trained or stopped, by number.

    Left out are duplicates, repetitions with another seed, and the stopped trials that another goes on with.
    """
    claimed = [t for t in trials if t.state in _CLAIMED and "candidate" in t.user_attrs]
    gone_on = {t.user_attrs[RESUMES] for t in claimed if RESUMES in t.user_attrs}
    return [
        t
        for t in claimed
        if t.number not in gone_on and "duplicate_of" not in t.user_attrs and CONFIRMS not in t.user_attrs
    ]


def learning_curves(trials: Sequence[FrozenTrial], costs: Sequence[str]) -> list[LearningCurve]:
    """What is known of candidates' trainings; those of studies of earlier versions have no curve.

    Args:
        trials: see `candidates`.
        costs: of the objective, in order.
    """
    return [learning_curve(trial, costs) for trial in trials if "steps" in trial.user_attrs]


def learning_curve(trial: FrozenTrial, costs: Sequence[str]) -> LearningCurve:
    """What is known of one candidate's training."""
    attrs = trial.user_attrs
    state: State = attrs["verdict"] if trial.state.is_finished() else "running"
    return LearningCurve(
        number=trial.number,
        costs=tuple(attrs["costs"][name] for name in costs),
        steps=attrs["steps"],
        curve=curve(trial),
        state=state,
    )


def curve(trial: FrozenTrial) -> tuple[tuple[int, float], ...]:
    """The (step, perplexity) of a trial's validations as far as they are reported."""
    return tuple((int(step), float(value)) for step, value in trial.user_attrs.get("curve", ()))
