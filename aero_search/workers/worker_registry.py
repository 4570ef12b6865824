"""The workers of a study and the lock under which trials change hands: one interface, on files or in a database."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from aero_search.errors import AeroSearchError


class ClaimLostError(AeroSearchError):
    """This worker was taken for dead, and what it trained was given to another."""


class ClaimLockLostError(AeroSearchError):
    """The database released the claim lock while it was held: what was done in it must be looked at again."""


class WorkerLease(ABC):
    """A worker while it lives, a context manager: known by its name until it leaves, or is taken for dead.

    Args:
        launch_id: what the names of all workers of one command begin with.
    """

    def __init__(self, launch_id: str = "") -> None:
        self.name = launch_id + uuid.uuid4().hex[:12]

    @abstractmethod
    def __enter__(self) -> WorkerLease: ...

    @abstractmethod
    def __exit__(self, *exc_info: object) -> None: ...

    @property
    def lost(self) -> bool:
        """Whether others have taken this worker for dead, and its trial with it."""
        return False


def new_launch_id() -> str:
    """What the workers of one command have in common; short enough for the names that a database holds."""
    return uuid.uuid4().hex[:8] + "-"


class StillMine:
    """Ends a training that was given to another worker; a `training.progress.Listener`.

    Raises:
        ClaimLostError: after the next step.
    """

    def __init__(self, worker: WorkerLease) -> None:
        self._worker = worker

    def step(self, step: int, loss: float) -> None:
        if self._worker.lost:
            raise ClaimLostError(
                "another worker has taken this candidate over: this one was silent for too long"
            )

    def validated(self, point: object, entropy: list[list[float]]) -> None: ...


class WorkerRegistry(ABC):
    """The workers of one study."""

    @abstractmethod
    def enter(self, launch_id: str = "") -> WorkerLease:
        """A new worker of that launch."""

    @abstractmethod
    def claim_lock(self) -> AbstractContextManager[None]:
        """Held by one worker at a time; trials change hands only under it.

        Raises:
            ClaimLockLostError: at its end, when it did not last that long. Another may have had it meanwhile.
        """

    @abstractmethod
    def living(self, names: Iterable[str]) -> set[str]:
        """Which of these workers live, asked under the claim lock; the others are dead from now on, for good."""


class FileLease(WorkerLease):
    """A locked file; the kernel lets go of it however the worker dies."""

    def __init__(self, folder: Path, launch_id: str = "") -> None:
        super().__init__(launch_id)
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / f"{self.name}.lock")

    def __enter__(self) -> FileLease:
        self._lock.acquire()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)


class FileRegistry(WorkerRegistry):
    """The workers of one machine, as locked files in a study's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._claim_lock = FileLock(folder / "claim.lock")

    def enter(self, launch_id: str = "") -> FileLease:
        return FileLease(self._folder / "workers", launch_id)

    @contextmanager
    def claim_lock(self) -> Iterator[None]:
        # Looking at a study creates no folder, claiming does.
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._claim_lock:
            yield

    def living(self, names: Iterable[str]) -> set[str]:
        return {name for name in names if self._lives(name)}

    def _lives(self, name: str) -> bool:
        path = self._folder / "workers" / f"{name}.lock"
        if not path.exists():
            return False
        try:
            with FileLock(path).acquire(timeout=0):
                pass
        except Timeout:
            return True
        path.unlink(missing_ok=True)
        return False
