"""The share of their time that workers trained, by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from optuna.trial import FrozenTrial, create_trial

from aero_search.search.utilization import utilization

_BEGAN = datetime(2026, 11, 29)


def trial(worker: str, start: float, end: float, seconds: float) -> FrozenTrial:
    """One that was claimed and told at these seconds, and trained for the last `seconds` of them."""
    made = create_trial(value=1.0, user_attrs={"worker": worker, "seconds": seconds})
    made.datetime_start = _BEGAN + timedelta(seconds=start)
    made.datetime_complete = _BEGAN + timedelta(seconds=end)
    return made


def test_two_workers() -> None:
    trials = [
        trial("l-a", 0, 10, 8),  # trains from 2
        trial("l-a", 10, 20, 9),  # from 11
        trial("l-b", 0, 12, 10),  # from 2
        trial("l-b", 13, 18, 3),  # from 15
        trial("other", 0, 900, 900),
    ]
    found = utilization(trials, "l", workers=2)
    assert found is not None
    assert found.span == pytest.approx(18)
    assert found.share == pytest.approx(30 / 36)
    assert found.pause == pytest.approx(2)  # the median of 1 and 3


def test_seconds_before_a_resumption_do_not_count() -> None:
    found = utilization([trial("l-a", 5, 10, 100)], "l", workers=1)
    assert found is not None
    assert (found.span, found.share, found.pause) == (5, 1, None)


def test_none_of_the_launch() -> None:
    assert utilization([trial("other", 0, 1, 1)], "l", workers=1) is None
