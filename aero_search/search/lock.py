"""How a worker says that it lives, so that its death is noticed however it comes."""

from __future__ import annotations

import uuid
from pathlib import Path

from filelock import FileLock, Timeout


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


def is_held(folder: Path, name: str) -> bool:
    """Whether the worker of that name lives; the lock of a dead one is removed."""
    path = folder / f"{name}.lock"
    if not path.exists():
        return False
    try:
        with FileLock(path).acquire(timeout=0):
            pass
    except Timeout:
        return True
    path.unlink(missing_ok=True)
    return False
