"""The last net: an error that no code foresaw becomes one sentence; its traceback goes to a file named in it."""

from __future__ import annotations

import errno
import os
import platform
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aero_search.version import __version__

DEBUG = "AERO_SEARCH_DEBUG"
_READING = "reading the request"


@dataclass
class _Stage:
    """How far this process's command has come.

    Attributes:
        doing: what, in words that follow "while".
        output_dir: where its results go, once the request has said so.
    """

    doing: str = _READING
    output_dir: Path | None = None


_STAGE = _Stage()


# NAME_MAX of Linux and of macOS.
_NAME_BYTES = 255


def start_reading() -> None:
    """A command begins: what fails from now on is the request's fault."""
    _STAGE.doing, _STAGE.output_dir = _READING, None


def start_working(doing: str, output_dir: Path) -> None:
    """The request is understood: what fails from now on is not its fault."""
    _STAGE.doing, _STAGE.output_dir = doing, output_dir


def is_reading() -> bool:
    """Whether the request is still being read."""
    return _STAGE.doing == _READING


def debugging() -> bool:
    """Whether the user wants tracebacks shown."""
    return os.environ.get(DEBUG, "") not in ("", "0")


def tell(problem: BaseException, command: Sequence[str], mask: Callable[[str], str]) -> str:
    """Write the traceback to a file, and say what happened in one sentence.

    Args:
        command: as it was typed.
        mask: takes passwords out of a text.
    """
    said = mask(f"{described(problem)} while {_STAGE.doing}")
    report = "\n".join(
        [
            f"aero-search {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"command: aero-search {' '.join(command)}",
            f"while {_STAGE.doing}",
            "",
            *traceback.format_exception(problem),
        ]
    )
    path = _write(mask(report))
    where = f"the traceback is in {path}" if path else f"{DEBUG}=1 shows the traceback"
    return f"{said}; {where}"


def described(problem: BaseException) -> str:
    """An exception in one line: its type and the beginning of its message; what the system says as it says it."""
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror + (f": {problem.filename}" if problem.filename else "")
    line = " ".join(str(problem).split())
    line = line if len(line) <= 300 else f"{line[:297]}..."
    return f"{type(problem).__name__}: {line}" if line else type(problem).__name__


def too_long(problem: BaseException, arguments: Sequence[str]) -> str | None:
    """One sentence on a name that no file may have, and what brings it; None where that is not the problem."""
    if not isinstance(problem, OSError) or problem.errno != errno.ENAMETOOLONG:
        return None
    longest = max(arguments, key=len, default="")
    start = f"{longest[:60]}..." if len(longest) > _NAME_BYTES else "a name that the request brings"
    return (
        f"{start} is too long for the name of a file (at most {_NAME_BYTES} bytes, and 4,095 with its folders): "
        "give a shorter one"
    )


def _write(report: str) -> Path | None:
    """The file that holds the report: in the output folder where there is one, else in the temporary folder."""
    name = f"aero-search-error-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    output_dir = _STAGE.output_dir
    for folder in (output_dir, Path(tempfile.gettempdir())):
        try:
            if folder is not None and folder.is_dir():
                path = folder / name
                path.write_text(report, encoding="utf-8", errors="backslashreplace")
                return path
        except OSError:
            continue
    return None
