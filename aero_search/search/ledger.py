"""The trials of a study as workers share them: claimed under a lock, given back when a worker dies.

Nothing here knows what a trial is worth: `Study` trains architectures under it, `FunctionStudy` calls any function.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState

# What a queued trial is told beside its parameters, and what the trial that takes its place is told again: the
# stopped trial that it goes on with; the trial that it repeats, and with which seed.
RESUMES, CONFIRMS, SEED = "resumes", "confirms", "confirm_seed"
_PASSED_ON = (RESUMES, CONFIRMS, SEED)


class WorkerLock:
    """Held as long as a worker lives; the kernel lets go of it however the worker dies."""

    def __init__(self, folder: Path) -> None:
        self.name = uuid.uuid4().hex[:12]
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / f"{self.name}.lock")

    def __enter__(self) -> WorkerLock:
        self._lock.acquire()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)


class Ledger(ABC):
    """Who has which trial of a study.

    Args:
        study: Optuna's, already created.
        folder: holds the workers' locks.
    """

    def __init__(self, study: optuna.Study, folder: Path) -> None:
        self.study = study
        self.folder = folder
        self._claims = FileLock(folder / "claim.lock")

    @property
    def name(self) -> str:
        return self.study.study_name

    def enqueue(self, assignments: Sequence[Mapping[str, Any]]) -> None:
        """Let these points be tried first; those already known are skipped, but for what was given up."""
        known = [_point(t) for t in self._trials() if t.state != TrialState.FAIL or "invalid" in t.user_attrs]
        for assignment in assignments:
            if dict(assignment) not in known:
                self.study.enqueue_trial(dict(assignment))
                known.append(dict(assignment))

    def set_attrs(self, **attrs: Any) -> None:
        """Remember JSON values with the study."""
        for name, value in attrs.items():
            self.study.set_user_attr(name, value)

    def give_back_orphans(self) -> None:
        """Settle trials whose worker died: tell those with a result, queue the others again."""
        with self._claiming():
            self._give_back_orphans()

    @abstractmethod
    def _settled(self, trial: FrozenTrial) -> bool:
        """Tell the trial of a dead worker if its result is known; False where it is not."""

    @contextmanager
    def _claiming(self) -> Iterator[None]:
        """Hold the lock under which trials change hands; looking at a study creates no folder, claiming does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._claims:
            yield

    def _give_back_orphans(self) -> None:
        orphans = [t for t in self._trials() if t.state == TrialState.RUNNING and not self._alive(t)]
        for trial in orphans:
            self._set(trial._trial_id, orphan=True)
            if not self._settled(trial):
                self._fail(trial.number)
                # A queued point whose worker died while asking has drawn only some of its values, or none.
                if params := {**trial.system_attrs.get("fixed_params", {}), **trial.params}:
                    self.study.enqueue_trial(params, user_attrs=_passed_on(trial))

    def _turn(self) -> int:
        """How many trials have had their turn of the sampler."""
        return sum(map(_asked, self._trials()))

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

    def _alive(self, trial: FrozenTrial) -> bool:
        path = self.folder / "workers" / f"{trial.user_attrs.get('worker', 'none')}.lock"
        if not path.exists():
            return False
        try:
            with FileLock(path).acquire(timeout=0):
                pass
        except Timeout:
            return True
        path.unlink(missing_ok=True)
        return False


def _point(trial: FrozenTrial) -> dict[str, Any]:
    """What a trial was asked for: what it was queued with, or else what it has drawn."""
    queued: dict[str, Any] = trial.system_attrs.get("fixed_params", {})
    return dict(queued or trial.params)


def _passed_on(trial: FrozenTrial) -> dict[str, Any]:
    """What the trial that takes this one's place is told beside its parameters."""
    return {name: trial.user_attrs[name] for name in _PASSED_ON if name in trial.user_attrs}


def _asked(trial: FrozenTrial) -> bool:
    """Whether a trial has had its turn: not waiting for it, and not lost with its worker to be asked again."""
    lost = trial.state == TrialState.FAIL and "orphan" in trial.user_attrs
    return trial.state != TrialState.WAITING and not lost
