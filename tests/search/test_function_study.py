"""Studies of plain functions: budgets, deaths, and what counts as a number."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState

from aero_search.errors import RequestError
from aero_search.search.function_study import FunctionPlan
from aero_search.search.spec import SamplerSpec
from aero_search.space import Categorical, Real, Space
from aero_search.workers.trial_queue import FileLease
from tests.search.fakes import open_study


def plan(folder: Path, **changes: object) -> FunctionPlan:
    first = FunctionPlan(
        name="f",
        folder=folder,
        directions=("minimize",),
        n_trials=5,
        workers=1,
        sampler=SamplerSpec("random"),
        seed=0,
        space=Space("sweep", "", (Real("x", 0.0, 1.0, digits=None), Categorical("k", (1, 2)))),
        fixed=("a=1",),
    )
    return replace(first, **changes)  # type: ignore[arg-type]


def call_all(wanted: FunctionPlan) -> list[tuple[str, ...]]:
    study, called = wanted.prepare(), []
    with FileLease(wanted.study_folder / "workers") as lock:
        while call := study.claim(lock):
            called.append(call.overrides)
            study.tell(call.number, float(call.overrides[0].partition("=")[2]))
    return called


def test_the_budget_is_called_once_and_goes_on_when_raised(tmp_path: Path) -> None:
    first = call_all(plan(tmp_path))
    assert len(first) == 5
    assert call_all(plan(tmp_path)) == []
    second = call_all(plan(tmp_path, n_trials=8))
    assert len(second) == 3
    # An interrupted study proposes what an uninterrupted one does.
    assert first + second == call_all(plan(tmp_path / "whole", n_trials=8))


def test_all_digits_count(tmp_path: Path) -> None:
    call_all(plan(tmp_path))
    for trial in plan(tmp_path).open().finished():
        assert trial.values == [trial.params["x"]]


def test_a_dead_worker_s_call_is_made_again_first(tmp_path: Path) -> None:
    study = plan(tmp_path).prepare()
    with FileLease(study.folder / "workers") as lock:
        lost = study.claim(lock)
        assert lost is not None
    assert study.left() == 4
    with FileLease(study.folder / "workers") as lock:
        again = study.claim(lock)
        assert again is not None
        assert again.overrides == lost.overrides
        assert study.study.trials[lost.number].state == TrialState.FAIL
        assert study.left() == 4


@pytest.mark.parametrize(
    ("returned", "directions", "values"),
    [
        (1, 1, [1.0]),
        (np.float32(0.5), 1, [0.5]),
        ((1, 2.5), 2, [1.0, 2.5]),
        ([3.0], 1, [3.0]),
        (float("inf"), 1, [float("inf")]),
        (None, 1, "returned None, which is no number"),
        ("fast", 1, "returned 'fast', which is no number"),
        (float("nan"), 1, "not a number"),
        ((1.0, 2.0), 1, r"returned \(1.0, 2.0\), not one number"),
        (1.0, 2, "not 2 numbers, as many as directions"),
    ],
)
def test_what_counts_as_a_number(
    tmp_path: Path, returned: object, directions: int, values: list[float] | str
) -> None:
    study = plan(tmp_path, directions=("minimize",) * directions).prepare()
    with FileLease(study.folder / "workers") as lock:
        call = study.claim(lock)
        assert call is not None
        study.tell(call.number, returned)
    (trial,) = study.finished()
    if isinstance(values, str):
        assert trial.state == TrialState.FAIL
        assert re.search(values, trial.user_attrs["reason"])
    else:
        assert trial.values == values


def test_other_parameters_and_other_studies_are_refused_by_name(tmp_path: Path) -> None:
    call_all(plan(tmp_path))
    with pytest.raises(RequestError, match=r"study f was made with overrides=\['a=1'\], not \['a=2'\]"):
        plan(tmp_path, fixed=("a=2",)).prepare()
    with pytest.raises(RequestError, match="study f was made with directions="):
        plan(tmp_path, directions=("maximize",)).prepare()
    open_study(tmp_path, "taken")
    with pytest.raises(RequestError, match="study_name=taken is taken by a search of another kind"):
        plan(tmp_path, name="taken").prepare()
