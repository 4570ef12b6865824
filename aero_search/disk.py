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


def full_sentence(problem: BaseException) -> str:
    """The problem in one sentence: what could not be written, and how much room its disk has."""
    named = [one.filename for one in _chain(problem) if isinstance(one, OSError) and one.filename]
    if not named:  # a pipe, or a file that the library does not name
        return f"{described(problem)}: make room on the disk that is written to, and the same command goes on"
    path = Path(str(named[0]))
    return (
        f"the disk is full: {path} could not be written{room(path)}; make room, and the same command goes on"
    )


def room(path: Path) -> str:
    """In brackets, what is free on the disk of a path; empty where that cannot be told."""
    folder = next((parent for parent in (path, *path.absolute().parents) if parent.is_dir()), None)
    try:
        free = shutil.disk_usage(folder or Path()).free
    except OSError:
        return ""
    return f" ({free / 1e6:.1f} MB are free)"


def _chain(problem: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while problem is not None and id(problem) not in seen:
        seen.add(id(problem))
        yield problem
        problem = problem.__cause__ or problem.__context__
