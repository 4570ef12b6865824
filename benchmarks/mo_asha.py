"""MO-ASHA of syne-tune (Schmucker, Donini, Zafar, Salinas, Archambeau 2021, arXiv 2106.12639) as a searcher.

Its scheduler is asked and told without syne-tune's backend and tuner, with its own defaults: random candidates,
rungs at 1, 3, 9, ... validations, non-dominated sorting with an epsilon-net, the best third goes on, and what is
stopped stays so. It knows no conditions, so it draws every parameter, and those that do not count are passed over.
It does not notice that it has asked for a network before, so then it is simply asked again.

    pip install --no-deps syne-tune==0.16.0

beside the extra `dev`, which has what its scheduler needs; its other dependencies, xgboost and a CUDA library among
them, serve other schedulers.
"""

from __future__ import annotations

import datetime
import importlib
from typing import Any

import numpy as np

from aero_search.errors import AeroSearchError, RequestError
from aero_search.search.candidate import Candidate
from aero_search.space import Assignment, Categorical, Integer, Parameter, Real, Space, Value
from benchmarks.simulator import Curve, Training
from benchmarks.tasks import OBJECTIVE, Outcome, Task

# So many draws of known networks in a row, and the space is taken to be used up.
_PATIENCE = 2000


class MoAsha:
    """Asks syne-tune's scheduler.

    Args:
        trials: candidates to begin.
        rungs: validations of a whole training.

    Raises:
        AeroSearchError: syne-tune is not installed.
    """

    judges = True

    def __init__(self, task: Task, seed: int, trials: int, rungs: int) -> None:
        try:
            library = importlib.import_module("syne_tune.optimizer.schedulers.multiobjective.moasha")
            self._trial: Any = importlib.import_module("syne_tune.backend.trial_status").Trial
            spaces = importlib.import_module("syne_tune.config_space")
        except ModuleNotFoundError as problem:
            raise AeroSearchError(
                f"{problem.name} is missing: pip install --no-deps syne-tune==0.16.0"
            ) from problem
        # It draws from numpy's global generator, whatever its own seed.
        np.random.seed(seed)
        self._task, self._left, self._rungs = task, trials, rungs
        self._scheduler: Any = library.MOASHA(
            config_space={p.name: _domain(p, spaces) for p in task.space.parameters},
            metrics=list(OBJECTIVE.metrics),
            time_attr="validation",
            max_t=rungs,
            random_seed=seed,
        )
        self._known: set[str] = set()
        self._trials: dict[int, Any] = {}
        self._candidates: dict[int, Candidate] = {}

    def next(self) -> Training | None:
        for _ in range(_PATIENCE if self._left else 0):
            config: dict[str, Value] = self._scheduler.suggest().config
            try:
                candidate = self._task.compose(self._task.space.overrides(_active(self._task.space, config)))
            except RequestError:
                continue
            if candidate.identity in self._known:
                continue
            number = len(self._known)
            self._known.add(candidate.identity)
            self._left -= 1
            self._candidates[number] = candidate
            self._trials[number] = self._trial(number, config, datetime.datetime.now())
            self._scheduler.on_trial_add(self._trials[number])
            return Training(number, candidate)
        return None

    def goes_on(self, number: int, curve: Curve) -> bool:
        said = self._result(number, len(curve), curve[-1][1])
        return bool(self._scheduler.on_trial_result(self._trials[number], said) == "CONTINUE")

    def ended(self, number: int, candidate: Candidate, outcome: Outcome) -> None:
        trial = self._trials[number]
        if outcome.verdict == "finished":
            assert outcome.perplexity is not None
            said = self._result(number, self._rungs, outcome.perplexity)
            self._scheduler.on_trial_result(trial, said)
            self._scheduler.on_trial_complete(trial, said)
        else:
            self._scheduler.on_trial_remove(trial)

    def _result(self, number: int, validation: int, perplexity: float) -> dict[str, float]:
        row = self._task.row(self._candidates[number], perplexity)
        return {"validation": validation, **dict(zip(OBJECTIVE.metrics, row, strict=True))}


def _active(space: Space, config: Assignment) -> dict[str, Value]:
    """What counts of a draw of every parameter."""
    assignment: dict[str, Value] = {}
    for parameter in space.parameters:
        if parameter.active(assignment):
            assignment[parameter.name] = config[parameter.name]
    return assignment


def _domain(parameter: Parameter, spaces: Any) -> Any:
    """A parameter in syne-tune's words."""
    if isinstance(parameter, Categorical):
        return spaces.choice(list(parameter.choices))
    if isinstance(parameter, Integer):
        return spaces.choice(list(parameter.values()))
    assert isinstance(parameter, Real)
    return (spaces.loguniform if parameter.log else spaces.uniform)(parameter.low, parameter.high)
