"""A study's trials as its rules for stopping see them, and which trials are candidates of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from optuna.trial import FrozenTrial, TrialState

from aero_search.errors import AeroSearchError
from aero_search.front.quality import QualityScale
from aero_search.search.rungs.learning_curve import LearningCurve, State
from aero_search.workers.trial_queue import CONFIRMS, RESUMES


class Measured(Protocol):
    """A validation, or a result."""

    @property
    def perplexity(self) -> float | None: ...
    @property
    def accuracy(self) -> float | None: ...
    @property
    def bits_per_byte(self) -> float | None: ...


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


def loss_of(scale: QualityScale, measured: Measured) -> float | None:
    """The loss of what a training has measured; None where it diverged.

    Raises:
        AeroSearchError: the study's quality was not measured.
    """
    if measured.perplexity is None:
        return None
    value: float | None = getattr(measured, scale.name)
    if value is None:
        raise AeroSearchError(f"the training has measured no {scale.name}")
    return scale.loss(value)


def curve(trial: FrozenTrial) -> tuple[tuple[int, float], ...]:
    """The (step, loss) of a trial's validations as far as they are reported."""
    return tuple((int(step), float(value)) for step, value in trial.user_attrs.get("curve", ()))
