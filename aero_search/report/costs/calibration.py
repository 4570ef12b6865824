"""A calibration for people: progress while it reads, and how far its constants give back what was read."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from rich.progress import BarColumn, TimeElapsedColumn, TimeRemainingColumn

from aero_search.console import Console, progress_bars
from aero_search.report.costs.tables import format_bytes, format_seconds

if TYPE_CHECKING:
    from rich.console import Group

    from aero_search.measure.fit import Check, Fit
    from aero_search.report.table import Sheet


class CalibrateView:
    """A bar over expected seconds, with the benchmark that was read last."""

    def __init__(self, expected_seconds: float, console: Console) -> None:
        self._console = console
        self._bar = progress_bars(
            console,
            "{task.description}",
            BarColumn(),
            "{task.percentage:>3.0f} %",
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._task = self._bar.add_task("set-up", total=max(expected_seconds, 1.0))

    def __enter__(self) -> CalibrateView:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def done(self, what: str, expected_seconds: float) -> None:
        """One reading has been taken."""
        self._bar.update(self._task, advance=expected_seconds, description=what)
        if not self._console.is_terminal:
            self._console.print(what)


def calibration_report(fit: Fit) -> Group:
    """Every benchmark at every size, read beside fitted: those the fit used, and those it did not."""
    from rich.console import Group, RenderableType
    from rich.text import Text

    tables: list[RenderableType] = []
    for used in (True, False):
        title = "benchmarks that the constants are fitted to" if used else "whole lowerings, only compared"
        tables += [_table(title, [c for c in fit.checks if c.used == used]), Text(summary(fit, used))]
    return Group(*tables)


def summary(fit: Fit, used: bool) -> str:
    """Largest and mean error of each quantity, in one line each."""
    lines = []
    for quantity, name in (("bytes", "bytes"), ("seconds", "compute"), ("rounds", "round trips")):
        checks = [c for c in fit.checks if c.quantity == quantity and c.used == used]
        if checks:
            errors = [abs(c.error) for c in checks]
            worst = max(checks, key=lambda c: abs(c.error))
            lines.append(
                f"{name}: within {max(errors):.1%} ({worst.benchmark} {worst.size}), "
                f"mean {sum(errors) / len(errors):.1%}, {len(checks)} readings"
            )
    return "\n".join(lines)


def _table(title: str, checks: Sequence[Check]) -> Sheet:
    from aero_search.report.table import sheet

    found: dict[tuple[str, str, str], Check] = {(c.benchmark, str(c.size), c.quantity): c for c in checks}
    rows = []
    for name, size in dict.fromkeys((c.benchmark, str(c.size)) for c in checks):
        cells: list[str] = []
        for quantity, show in (
            ("bytes", format_bytes),
            ("seconds", format_seconds),
            ("rounds", lambda value: f"{value:.1f}"),
        ):
            check = found.get((name, size, quantity))
            cells += ["", ""] if check is None else [show(check.read), f"{check.error:+.1%}"]
        rows.append((name, size, *cells))
    heads = ("benchmark", "size", "bytes", "error", "compute", "error", "trips", "error")
    return sheet(heads, rows, title, parts=(0, 0, 1, 1, 1, 1, 2, 2))
