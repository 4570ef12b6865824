"""A study of any function that returns one or several numbers: the engine below `hydra/sweeper=aero_search`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from aero_search.errors import RequestError
from aero_search.schema import to_mapping
from aero_search.search.samplers import make_sampler
from aero_search.search.settings import check_settings
from aero_search.search.spec import HEARTBEAT_SECONDS, SamplerSpec
from aero_search.space import Space
from aero_search.workers.database import open_registry, open_storage
from aero_search.workers.study_files import require_unused
from aero_search.workers.trial_queue import RETRIES, TrialQueue, lost
from aero_search.workers.worker_registry import WorkerLease, WorkerRegistry

Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class FunctionPlan:
    """Everything that parent and workers of one study share; plain data.

    Attributes:
        name: of the study; the same name goes on with it.
        folder: absolute; holds the database and the study's own folder.
        directions: one a number that the function returns.
        n_trials: calls in all, failed ones included.
        fixed: overrides that all calls share.
        storage, heartbeat, retries: see `SearchSpec`.
    """

    name: str
    folder: Path
    directions: tuple[Direction, ...]
    n_trials: int
    workers: int
    sampler: SamplerSpec
    seed: int
    space: Space
    fixed: tuple[str, ...]
    storage: str | None = None
    heartbeat: float = HEARTBEAT_SECONDS
    retries: int = RETRIES

    @property
    def study_folder(self) -> Path:
        """The study's own folder."""
        return self.folder / "studies" / self.name

    def prepare(self) -> FunctionStudy:
        """Create the study, or check that it is the one to go on with; what dead workers held is queued again.

        Raises:
            RequestError: a study of that name was made with other parameters, directions or overrides.
        """
        settings = self._settings()
        storage = open_storage(self.folder, self.storage)
        known = {summary.study_name: summary for summary in optuna.get_all_study_summaries(storage)}
        if self.name in known:
            old: Mapping[str, Any] | None = known[self.name].user_attrs.get("function_settings")
            if old is None:
                raise RequestError(
                    f"study_name={self.name} is taken by a search of another kind: name another"
                )
            check_settings(self.name, old, settings)
        else:
            require_unused(self.study_folder)
        created = optuna.create_study(
            study_name=self.name, storage=storage, directions=list(self.directions), load_if_exists=True
        )
        study = self._study(created, storage)
        if self.name in known:
            study.keep_files()
        else:
            study.set_attrs(function_settings=settings)
        study.requeue_stale()
        return study

    def open(self) -> FunctionStudy:
        """The study, which the parent has created."""
        storage = open_storage(self.folder, self.storage, wait=True)
        return self._study(optuna.load_study(study_name=self.name, storage=storage), storage)

    def _study(self, study: optuna.Study, storage: RDBStorage) -> FunctionStudy:
        return FunctionStudy(
            study, self, open_registry(storage, self.name, self.study_folder, self.heartbeat)
        )

    def _settings(self) -> dict[str, Any]:
        said = {"directions": list(self.directions), "overrides": list(self.fixed)}
        return said | {f"params.{p.name}": str(to_mapping(p)) for p in self.space.parameters}


@dataclass(frozen=True)
class Call:
    """One call of the function: the trial's number and the overrides that its configuration is composed of."""

    number: int
    overrides: tuple[str, ...]


class FunctionStudy(TrialQueue):
    """Claims, and tells, the calls of a plan."""

    def __init__(
        self, study: optuna.Study, plan: FunctionPlan, registry: WorkerRegistry | None = None
    ) -> None:
        super().__init__(study, plan.study_folder, registry, plan.retries)
        self.plan = plan

    def claim(self, worker: WorkerLease) -> Call | None:
        """Take the next call; None when the budget is used."""
        return self._under_claim_lock(lambda: self._claim(worker))

    def _claim(self, worker: WorkerLease) -> Call | None:
        self._requeue_stale()
        if self.left() == 0:
            return None
        self.study.sampler = make_sampler(self.plan.sampler, self.plan.seed, self._turn())
        trial = self._ask()
        self._set(trial._trial_id, worker=worker.name)
        overrides = tuple(self.plan.space.overrides(self.plan.space.suggest(trial)))
        self._set(trial._trial_id, overrides=list(overrides))
        self._keep(trial.number)
        return Call(trial.number, overrides)

    def tell(self, number: int, returned: object) -> None:
        """Record what the function returned; what is no number for each direction is a failure with its reason."""
        values, problem = _numbers(returned, len(self.plan.directions))
        if problem:
            self.fail(number, problem)
        else:
            self._still_ours(number, lambda: self._end(number, values))

    def fail(self, number: int, reason: str) -> None:
        """Record a call that raised, or returned nothing usable."""
        self._still_ours(number, lambda: self._fail(number, reason=reason))

    def left(self) -> int:
        """How many calls are still to be claimed."""
        return max(self.plan.n_trials - sum(map(_counts, self._trials())), 0)

    def finished(self) -> list[FrozenTrial]:
        """The trials that have been told, failed ones included, by number."""
        return [t for t in self._trials() if t.state.is_finished() and _counts(t)]

    def best(self) -> list[FrozenTrial]:
        """The best trial, or those that no other dominates; empty while none is complete."""
        if not any(t.state == TrialState.COMPLETE for t in self._trials()):
            return []
        if len(self.plan.directions) == 1:
            return [self.study.best_trial]
        return sorted(self.study.best_trials, key=lambda trial: trial.values)

    def document(self) -> dict[str, Any]:
        """The result as plain data, in the form that Hydra's Optuna sweeper gives it."""
        best = self.best()
        if len(self.plan.directions) > 1 or not best:
            solutions = [{"params": assignment(trial), "values": list(trial.values)} for trial in best]
            return {"name": "optuna", "solutions": solutions}
        return {
            "name": "optuna",
            "best_evaluated_params": assignment(best[0]),
            "best_evaluated_value": best[0].values[0],
        }

    def _settled(self, trial: FrozenTrial) -> bool:
        return False  # a call leaves no result behind but what it returns


def assignment(trial: FrozenTrial) -> dict[str, str]:
    """The overrides of a trial, by what they set."""
    pairs = (line.partition("=") for line in trial.user_attrs.get("overrides", ()))
    return {name: value for name, _, value in pairs}


def _counts(trial: FrozenTrial) -> bool:
    """Whether a trial uses budget: called or being called; what died with its worker is called again."""
    return trial.state != TrialState.WAITING and not lost(trial)


def _numbers(returned: object, count: int) -> tuple[list[float], str]:
    """What a function returned as numbers, or why it is none."""
    values: Sequence[object] = tuple(returned) if isinstance(returned, list | tuple) else (returned,)
    if len(values) != count:
        wanted = "one number" if count == 1 else f"{count} numbers, as many as directions"
        return [], f"the function returned {_show(returned)}, not {wanted}"
    try:
        numbers = [float(value) for value in values]  # type: ignore[arg-type]  # that is the question
    except (TypeError, ValueError):
        return [], f"the function returned {_show(returned)}, which is no number"
    if any(math.isnan(number) for number in numbers):
        return [], f"the function returned {_show(returned)}: not a number"
    return numbers, ""


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
