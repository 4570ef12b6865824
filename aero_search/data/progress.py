"""What a waiting user sees on stderr: bars on a terminal, one plain line elsewhere, nothing when quiet."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from aero_search.printing import print_line
from aero_search.waiting import doing

if TYPE_CHECKING:
    from rich.progress import Progress

Advance = Callable[[float], None]


class Reporter:
    """Shows the stages of a preparation; a context manager.

    Args:
        headline: the plain line for a stderr that is not a terminal.
    """

    def __init__(self, headline: str, *, quiet: bool) -> None:
        self._bars: Progress | None = None if quiet else _bars()
        self._headline = None if quiet or self._bars else headline

    def __enter__(self) -> Reporter:
        doing("preparing the corpus")
        if self._headline:
            print_line(self._headline, stderr=True)
        if self._bars:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()
        doing("beginning with the prepared corpus")

    def stage(self, name: str, total: float | None = None) -> Advance:
        """Begin a stage of `total` units (None: unknown) and return what advances it."""
        bars = self._bars
        if bars is None:
            return lambda _amount: None
        for task in bars.tasks:
            bars.update(task.id, total=1, completed=1)
        task_id = bars.add_task(name, total=total)
        return lambda amount: bars.advance(task_id, amount)


def _bars() -> Progress | None:
    """Bars where stderr is a terminal and `rich` is there to draw them."""
    try:
        from rich.progress import BarColumn, TimeElapsedColumn

        from aero_search.console import make_console, progress_bars
    except ModuleNotFoundError:
        return None
    console = make_console(stderr=True)
    if not console.is_terminal:
        return None
    return progress_bars(console, "{task.description:<12}", BarColumn(), TimeElapsedColumn())
