"""A database that restarts ends no search: what fails because it is away is done again, for a bounded time."""

from __future__ import annotations

import functools
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError

from aero_search.errors import AeroSearchError

P = ParamSpec("P")
T = TypeVar("T")

# A restart takes seconds, a server moved to another machine minutes.
PATIENCE_SECONDS = 300.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0

# What Optuna's cache in front of the storage calls beside the public methods.
_PRIVATE = ("_create_new_trial", "_set_trial_param", "_get_trials", "_get_best_trial_id")
# SQLAlchemy's code for a connection that went away within a transaction.
_LOST_CONNECTION = "8s2b"
# A server that is there and says no; psycopg gives no code for these.
_REFUSALS = ("authentication failed", "no password supplied", "pg_hba.conf", '" does not exist')


def away(problem: BaseException | None) -> bool:
    """Whether a problem is the database's being away, not something wrong with what was asked of it."""
    if isinstance(problem, StorageInternalError):
        return away(problem.__cause__)
    if isinstance(problem, OperationalError | InterfaceError):
        return not any(words in str(problem.orig) for words in _REFUSALS)
    if isinstance(problem, PendingRollbackError):
        # A server that crashed between two statements of a transaction.
        return problem.code == _LOST_CONNECTION
    return isinstance(problem, DBAPIError) and problem.connection_invalidated


def patient(
    action: Callable[P, T], where: str = "the study's database", seconds: float | None = None
) -> Callable[P, T]:
    """The action, done again with growing pauses while the database is away.

    Args:
        where: what is waited for, in words.
        seconds: how long; None is `PATIENCE_SECONDS`.

    Raises:
        AeroSearchError: it was away for too long.
    """

    @functools.wraps(action)
    def again(*args: P.args, **kwargs: P.kwargs) -> T:
        if getattr(_inside, "waiting", False):
            return action(*args, **kwargs)  # the outermost waits, or every level would
        limit = PATIENCE_SECONDS if seconds is None else seconds
        pause, began = _FIRST_PAUSE, time.monotonic()
        _inside.waiting = True
        try:
            while True:
                try:
                    return action(*args, **kwargs)
                except Exception as problem:
                    if not away(problem):
                        raise
                    if time.monotonic() - began > limit:
                        raise AeroSearchError(
                            f"{where} has not answered for {limit:.0f} s ({reason(problem)}): "
                            "the same command resumes"
                        ) from problem
                # Workers that lost their connections together do not come back together.
                time.sleep(pause * random.uniform(0.5, 1.5))
                pause = min(2 * pause, _LONGEST_PAUSE)
        finally:
            _inside.waiting = False

    return again


def reason(problem: BaseException) -> str:
    """What the database's driver said, in one line, without addresses of hosts tried before the last."""
    while isinstance(problem, StorageInternalError) and problem.__cause__ is not None:
        problem = problem.__cause__
    said = str(problem.orig if isinstance(problem, DBAPIError) and problem.orig else problem)
    lines = [line.strip() for line in said.splitlines() if line.strip() and "Is the server" not in line]
    return lines[-1][:200] if lines else type(problem).__name__


class PatientStorage(RDBStorage):
    """Optuna's storage, whose every call outlasts a restart of the database."""

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        tries = 0

        def attempt() -> bool:
            nonlocal tries
            tries += 1
            try:
                return RDBStorage.set_trial_state_values(self, trial_id, state, values)
            except UpdateFinishedTrialError:
                # The confirmation was lost on the way, not the change.
                if tries > 1 and RDBStorage.get_trial(self, trial_id).state == state:
                    return True
                raise

        return patient(attempt)()


def storage_methods() -> list[str]:
    """Everything that reads or writes through Optuna's storage."""
    public = [name for name, member in vars(BaseStorage).items() if callable(member) and name[0] != "_"]
    return [*public, *_PRIVATE]


def _repeatable() -> list[str]:
    """The methods that do no harm when they are done twice: reads, and writes of a value by name.

    A new trial whose confirmation was lost on the way is one more: one that nobody holds, which the queue
    re-queues, or one that is queued twice, which the queue sees.
    """
    apart = ("set_trial_state_values", "check_trial_is_updatable", "remove_session")
    return [name for name in storage_methods() if name not in apart]


_inside = threading.local()
for _name in _repeatable():
    setattr(PatientStorage, _name, patient(getattr(RDBStorage, _name)))
