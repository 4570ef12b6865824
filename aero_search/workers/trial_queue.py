"""The trials of a study as workers share them: claimed one at a time, re-queued when a worker is stale.

Nothing here knows what a trial is worth: `Study` trains architectures under it, `FunctionStudy` calls any function.
"""

from __future__ import annotations

import functools
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from aero_search.fail_points import passes
from aero_search.workers.study_files import trial_path, write_study, write_trial
from aero_search.workers.worker_registry import ClaimLockLostError, FileLease, FileRegistry, WorkerRegistry

__all__ = ["FileLease", "TrialQueue"]

T = TypeVar("T")
# How often the trial of a dead worker is given to another, which gets no further with it, before it is given up.
RETRIES = 1
# What a queued trial is told beside its parameters, and what the trial that takes its place is told again: the
# stopped trial that it goes on with; the trial that it repeats, and with which seed.
RESUMES, CONFIRMS, SEED = "resumes", "confirms", "confirm_seed"
_PASSED_ON = (RESUMES, CONFIRMS, SEED)


class TrialQueue(ABC):
    """Who has which trial of a study.

    Args:
        study: Optuna's, already created.
        folder: holds what belongs to the study.
        registry: who works on it; by default the workers of this machine.
        retries: see `RETRIES`.
    """

    def __init__(
        self,
        study: optuna.Study,
        folder: Path,
        registry: WorkerRegistry | None = None,
        retries: int = RETRIES,
    ) -> None:
        self.study = study
        self.folder = folder
        self.registry = registry or FileRegistry(folder)
        self._retries = retries
        # Trials taken here under a lock that did not last: nobody trains them.
        self._void: set[int] = set()
        self._asked: int | None = None

    @property
    def name(self) -> str:
        return self.study.study_name

    def enqueue(self, assignments: Sequence[Mapping[str, Any]]) -> None:
        """Let these points be tried first; those already known are skipped, but for what was given up."""
        known = [_point(t) for t in self._trials() if t.state != TrialState.FAIL or _hopeless(t)]
        for assignment in assignments:
            if dict(assignment) not in known:
                self.study.enqueue_trial(dict(assignment))
                known.append(dict(assignment))

    def set_attrs(self, **attrs: Any) -> None:
        """Remember JSON values with the study."""
        for name, value in attrs.items():
            self.study.set_user_attr(name, value)
        passes("study described")
        write_study(self.study, self.folder)

    def keep_files(self) -> None:
        """Write what `repair` reads where it is missing: studies of earlier versions have none of it."""
        write_study(self.study, self.folder)
        for trial in self._trials():
            known = trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or "overrides" in trial.user_attrs
            if known and not trial_path(self.folder, trial.number).exists():
                write_trial(trial, self.folder)

    def forget(self) -> None:
        """Delete the study with all that belongs to it, so that its name is free."""
        optuna.delete_study(study_name=self.name, storage=self.study._storage)
        shutil.rmtree(self.folder, ignore_errors=True)

    def requeue_stale(self) -> None:
        """Settle stale trials, whose worker died: tell those with a result, re-queue the others."""
        self._under_claim_lock(self._requeue_stale)

    def training(self, launch_id: str = "") -> int:
        """How many trials are RUNNING, those of stale workers included; of one launch, or of all."""
        running = (trial for trial in self._trials() if trial.state == TrialState.RUNNING)
        return sum(trial.user_attrs.get("worker", "").startswith(launch_id) for trial in running)

    def completed(self) -> int:
        """How many trials have their values."""
        return sum(trial.state == TrialState.COMPLETE for trial in self._trials())

    def quarantined(self) -> dict[int, str]:
        """The trials that are not retried because they killed their workers or found no memory, by number."""
        return {t.number: reason for t in self._trials() if (reason := quarantine(t))}

    def give_up(self, number: int, reason: str) -> None:
        """Quarantine a trial that its worker cannot finish, and no other could."""
        self._still_ours(number, lambda: self._fail(number, quarantined=reason, reason=reason))

    @abstractmethod
    def _settled(self, trial: FrozenTrial) -> bool:
        """Tell the trial of a dead worker if its result is known; False where it is not."""

    def _gained(self, trial: FrozenTrial) -> float:
        """How far the work on a trial has got for good, in any unit; more is further."""
        return 0.0

    def _under_claim_lock(self, action: Callable[[], T]) -> T:
        """Do something under the lock by which trials change hands; again, if the lock did not last."""
        while True:
            self._asked = None
            try:
                with self._claiming():
                    return action()
            except ClaimLockLostError:
                if self._asked is not None:
                    self._void.add(self._asked)

    @contextmanager
    def _claiming(self) -> Iterator[None]:
        with self.registry.claim_lock():
            yield

    def _ask(self) -> optuna.Trial:
        """Take the next trial; one that was queued twice for the same lost trial only once."""
        while True:
            trial = self.study.ask()
            passes("trial asked")
            self._asked = trial.number
            again_of = trial.user_attrs.get("again_of")
            twins = (t.number for t in self._trials() if t.user_attrs.get("again_of") == again_of)
            if again_of is None or min(twins, default=trial.number) == trial.number:
                return trial
            self._fail(trial.number, orphan=True)

    def _requeue_stale(self) -> None:
        running = [t for t in self._trials() if t.state == TrialState.RUNNING]
        living = self.registry.living({t.user_attrs["worker"] for t in running if "worker" in t.user_attrs})
        orphans = [t for t in running if t.number in self._void or t.user_attrs.get("worker") not in living]
        for trial in orphans:
            # Its worker may have been cut off for a while, not dead, and tell it at this very moment.
            settle = functools.partial(self._settle, trial, alone=len(orphans) == 1)
            self._still_ours(trial.number, settle)
            self._void.discard(trial.number)

    def _settle(self, trial: FrozenTrial, alone: bool) -> None:
        self._set(trial._trial_id, orphan=True)
        if not self._settled(trial):
            self._requeue(trial, alone)

    def _requeue(self, trial: FrozenTrial, alone: bool) -> None:
        """Queue a lost trial again, or quarantine it when it has killed too many workers.

        Args:
            alone: no other trial was lost at the same time: what killed the worker is this trial, not a neighbour
                or the machine.
        """
        gained, before = self._gained(trial), trial.user_attrs.get("gained", 0.0)
        deaths = 0 if "worker" not in trial.user_attrs or trial.number in self._void else 1
        if deaths and gained <= before:
            deaths += trial.user_attrs.get("deaths", 0)
        if deaths > self._retries and alone:
            what = f"{deaths} workers died of it and none got further than the one before"
            self._fail(trial.number, quarantined=what, reason=what)
            return
        # A queued point whose worker died while asking has drawn only some of its values, or none.
        params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        queued = any(t.user_attrs.get("again_of") == trial.number for t in self._trials())
        if params and not queued:
            # Before the trial is closed: whoever dies in between leaves it to be looked at again.
            told = {**_passed_on(trial), "again_of": trial.number, "deaths": deaths, "gained": gained}
            self.study.enqueue_trial(params, user_attrs=told)
        self._fail(trial.number)

    def _turn(self) -> int:
        """How many trials have had their turn of the sampler."""
        return sum(map(_had_its_turn, self._trials()))

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def _trial(self, number: int) -> FrozenTrial:
        return self._trials()[number]

    def _set(self, trial_id: int, **attrs: Any) -> None:
        for name, value in attrs.items():
            self.study._storage.set_trial_user_attr(trial_id, name, value)

    def _fail(self, number: int, **attrs: Any) -> None:
        self._set(self._trial(number)._trial_id, **attrs)
        self.study.tell(number, state=TrialState.FAIL)
        # What nobody claimed, as a proposal above a limit, has no file.
        if trial_path(self.folder, number).exists():
            self._keep(number)

    def _end(
        self, number: int, values: Sequence[float] | None = None, state: TrialState | None = None
    ) -> None:
        """Tell what became of a trial, to Optuna and then to its file."""
        self.study.tell(number, values, state)
        passes("trial told")
        self._keep(number)

    def _keep(self, number: int) -> None:
        """Write a trial's file."""
        write_trial(self._trial(number), self.folder)

    def _still_ours(self, number: int, write: Callable[[], object]) -> None:
        """Write what became of a trial, but not when somebody else has done so, a worker cut off or its heir."""
        if self._trial(number).state.is_finished():
            return
        try:
            write()
        except (UpdateFinishedTrialError, ValueError):
            if not self._trial(number).state.is_finished():
                raise


def quarantine(trial: FrozenTrial) -> str:
    """Why a trial is not retried although it failed with its worker; empty for any other."""
    # Studies of version 0.1 say "poison".
    reason = trial.user_attrs.get("quarantined") or trial.user_attrs.get("poison", "")
    return str(reason)


def lost(trial: FrozenTrial) -> bool:
    """Whether a trial was lost with its worker, to be had again under another number."""
    return trial.state == TrialState.FAIL and "orphan" in trial.user_attrs and not quarantine(trial)


def _hopeless(trial: FrozenTrial) -> bool:
    """Whether a trial that failed would fail again."""
    return "invalid" in trial.user_attrs or bool(quarantine(trial))


def _point(trial: FrozenTrial) -> dict[str, Any]:
    """What a trial was asked for: what it was queued with, or else what it has drawn."""
    queued: dict[str, Any] = trial.system_attrs.get("fixed_params", {})
    return dict(queued or trial.params)


def _passed_on(trial: FrozenTrial) -> dict[str, Any]:
    """What the trial that takes this one's place is told beside its parameters."""
    return {name: trial.user_attrs[name] for name in _PASSED_ON if name in trial.user_attrs}


def _had_its_turn(trial: FrozenTrial) -> bool:
    """Whether a trial has had its turn: not waiting for it, and not lost with its worker to be asked again."""
    return trial.state != TrialState.WAITING and not lost(trial)
