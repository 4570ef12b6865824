"""What `aero-search train` shows: a progress bar while it trains, and the result with its costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from aero_search.training.result import CurvePoint, Result


class TrainingView:
    """A listener that draws a progress bar on a terminal, and prints a line a validation elsewhere."""

    def __init__(self, title: str, steps: int, console: Console) -> None:
        self._console = console
        self._steps = steps
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=steps, note="")

    def __enter__(self) -> TrainingView:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def step(self, step: int, loss: float) -> None:
        self._bar.update(self._task, completed=step)

    def validated(self, point: CurvePoint, entropy: list[list[float]]) -> None:
        note = f"perplexity {point.perplexity:.2f}"
        self._bar.update(self._task, completed=point.step, note=note)
        if not self._console.is_terminal:
            self._console.print(f"step {point.step:,} of {self._steps:,}: {note}")


def print_result(
    result: Result, costs: Mapping[str, float], folder: Path, console: Console, priced_at: str = ""
) -> None:
    """One candidate's perplexity, costs and where its files lie.

    Args:
        priced_at: the model that the costs belong to; empty where it is the trained one.
    """
    table = Table(title=result.notation, show_header=False, title_justify="left")
    perplexity = "none" if result.perplexity is None else f"{result.perplexity:.2f}"
    table.add_row("perplexity (held out)", perplexity)
    table.add_row("verdict", f"{result.verdict}{': ' + result.reason if result.reason else ''}")
    if (health := result.health) is not None:
        quarters = " / ".join(f"{share:.0%}" for share in health.quarters)
        table.add_row("attention", f"{health.verdict}{': ' + health.reason if health.reason else ''}")
        table.add_row("heads by quarter of entropy", f"{quarters} of {health.largest:.2f} nats, lowest first")
    table.add_row("parameters", f"{result.parameters:,}")
    table.add_row("tokens, seconds", f"{result.tokens:,}, {result.seconds:.0f}")
    if priced_at:
        table.add_row("costs of", f"{priced_at}; the perplexity is the proxy's")
    table.add_row("PI latency", f"{costs['latency_s']:.3g} s")
    table.add_row("PI communication", f"{costs['communication_bytes'] / 1e9:.3g} GB")
    table.add_row("FLOPs", f"{costs['flops'] / 1e9:.3g} G")
    console.print(table)
    console.print(f"files: {folder}", soft_wrap=True)
    console.print(
        f"train it again: aero-search train --config-dir {folder} --config-name candidate", soft_wrap=True
    )
