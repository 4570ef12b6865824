"""When a study's candidates were trained, as its database tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import optuna


@dataclass(frozen=True)
class Moment:
    """One trial in time, seconds since the study's first trial began.

    Attributes:
        ended: None while it runs.
    """

    number: int
    started: float
    ended: float | None


def timeline(study: optuna.Study) -> tuple[Moment, ...]:
    """Every trial that was started, by number; pauses between two runs of a study are in it."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.datetime_start is not None]
    starts = [trial.datetime_start for trial in trials if trial.datetime_start is not None]
    if not starts:
        return ()
    first = min(starts)
    return tuple(
        Moment(
            trial.number,
            _seconds(first, trial.datetime_start),
            None if trial.datetime_complete is None else _seconds(first, trial.datetime_complete),
        )
        for trial in trials
        if trial.datetime_start is not None
    )


def _seconds(first: datetime, then: datetime) -> float:
    return (then - first).total_seconds()
