"""The one way text reaches a terminal: rich without its markup, so that what stands in brackets is seen.

rich reads `[...]` in every text it prints, table cells and progress bars included, as its own markup, and drops
what it does not know. Notations, extras and lists are written in brackets. Colours come as `Text` with a style.
"""

from __future__ import annotations

from typing import IO

from rich.console import Console
from rich.progress import Progress, ProgressColumn, TextColumn

__all__ = ["Console", "make_console", "progress_bars"]


def make_console(*, stderr: bool = False, file: IO[str] | None = None, width: int | None = None) -> Console:
    """A console on stdout that prints every text as it is.

    Args:
        stderr: print there instead.
        file: print there instead.
        width: columns; None: the terminal's, or COLUMNS, or 80.
    """
    return Console(stderr=stderr, file=file, width=width, markup=False, emoji=False, highlight=False)


def progress_bars(console: Console, *columns: str | ProgressColumn, transient: bool = False) -> Progress:
    """Progress on a terminal; nothing is drawn elsewhere.

    Args:
        columns: from left to right; a text such as `{task.description}` is filled with the task's fields.
        transient: erase the bars at the end.
    """
    drawn = (TextColumn(c, markup=False) if isinstance(c, str) else c for c in columns)
    return Progress(*drawn, console=console, transient=transient, disable=not console.is_terminal)
