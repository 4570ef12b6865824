"""A full disk, however a library puts it: known again, and told with the room that is left."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from aero_search.unforeseen import described

_FULL = (errno.ENOSPC, errno.EDQUOT)
# SQLite's words, safetensors' and the operating system's, where the number is lost on the way.
_WORDS = (
    "database or disk is full",
    "No space left on device",
    "Disk quota exceeded",
    "os error 28",
    "os error 122",
)


def is_full(problem: BaseException | None) -> bool:
    """Whether a problem, or what it came from, is a disk or quota that is full."""
    return any(
        (isinstance(one, OSError) and one.errno in _FULL) or any(words in str(one) for words in _WORDS)
        for one in _chain(problem)
    )


class NoRoomError(OSError):
    """A file is larger than what is free on its disk; nothing of it was written.

    Args:
        path: of the file.
        needed, free: bytes.
    """

    def __init__(self, path: Path, needed: int, free: int) -> None:
        super().__init__(errno.ENOSPC, "No space left on device", str(path))
        self.needed, self.free = needed, free


def require_room(path: Path, needed: int) -> None:
    """Refuse to begin a file that its disk cannot hold.

    Args:
        needed: bytes.

    Raises:
        NoRoomError: with how much is missing.
    """
    free = _free(path)
    if free is not None and needed > free:
        raise NoRoomError(path, needed, free)


def room_sentence(problem: NoRoomError) -> str:
    """How much a file needs, how much is free, how much is missing."""
    missing = problem.needed - problem.free
    needed, free = _mb(problem.needed), _mb(problem.free)
    return f"{problem.filename} needs {needed}, {free} are free, {_mb(missing)} are missing"


def full_sentence(problem: BaseException) -> str:
    """The problem in one sentence: what could not be written, and how much room its disk has."""
    named = [one.filename for one in _chain(problem) if isinstance(one, OSError) and one.filename]
    if not named:  # a pipe, or a file that the library does not name
        return f"{described(problem)}: make room on the disk that is written to, and the same command goes on"
    path = Path(str(named[0]))
    for one in _chain(problem):
        if isinstance(one, NoRoomError):
            return f"the disk is full: {room_sentence(one)}; make room, and the same command goes on"
    return (
        f"the disk is full: {path} could not be written{room(path)}; make room, and the same command goes on"
    )


def room(path: Path) -> str:
    """In brackets, what is free on the disk of a path; empty where that cannot be told."""
    free = _free(path)
    return "" if free is None else f" ({_mb(free)} are free)"


def _free(path: Path) -> int | None:
    """Bytes that are free for a file; None where that cannot be told."""
    folder = next((parent for parent in (path, *path.absolute().parents) if parent.is_dir()), None)
    try:
        usage = shutil.disk_usage(folder or Path())
    except OSError:
        return None
    # Some file systems of networks tell nothing.
    return usage.free if usage.total else None


def _mb(amount: int) -> str:
    return f"{amount / 1e6:.1f} MB"


def _chain(problem: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while problem is not None and id(problem) not in seen:
        seen.add(id(problem))
        yield problem
        problem = problem.__cause__ or problem.__context__
