"""What `aero-search train` shows: a progress bar while it trains, and the result with its costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

from aero_search.console import Console, make_console, progress_bars
from aero_search.quantity import perplexity_text
from aero_search.report.table import sheet
from aero_search.report.train_plain import closing_lines, result_rows, validation_line
from aero_search.training.result import CurvePoint, Result
from aero_search.waiting import doing

__all__ = ["TrainingView", "make_console", "print_result"]


class TrainingView:
    """A listener that draws a progress bar on a terminal, and prints a line a validation elsewhere."""

    def __init__(self, title: str, steps: int, console: Console) -> None:
        self._console = console
        self._steps = steps
        self._title = f"training {title}, {steps:,} steps"
        self._bar = progress_bars(
            console,
            "{task.description}",
            BarColumn(),
            MofNCompleteColumn(),
            "{task.fields[note]}",
            TimeRemainingColumn(),
        )
        self._task = self._bar.add_task(title, total=steps, note="")

    def __enter__(self) -> TrainingView:
        self._bar.start()
        doing(self._title)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(self, step: int, loss: float) -> None:
        self._bar.update(self._task, completed=step)

    def validated(self, point: CurvePoint, entropy: list[list[float]]) -> None:
        note = f"perplexity {perplexity_text(point.perplexity)}"
        self._bar.update(self._task, completed=point.step, note=note)
        if not self._console.is_terminal:
            self._console.print(validation_line(point, self._steps))


def print_result(
    result: Result, costs: Mapping[str, float], folder: Path, console: Console, priced_at: str = ""
) -> None:
    """One candidate's perplexity, costs and where its files lie.

    Args:
        priced_at: the model that the costs belong to; empty where it is the trained one.
    """
    console.print(sheet(("", ""), list(result_rows(result, costs, priced_at)), result.notation, words=2))
    for line in closing_lines(folder):
        console.print(line, soft_wrap=True)
