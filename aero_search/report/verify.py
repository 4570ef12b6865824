"""What `verify` compared, as a table."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

_MARKS = {"ok": "[green]ok[/]", "differs": "[red]differs[/]", "skipped": "[yellow]not checked[/]"}


def verification_table(title: str, checks: Iterable[tuple[str, str, str, str]]) -> Table:
    """One row a check: what, its state, what the bundle says, what was found."""
    table = Table(title=title, title_justify="left")
    for column in ("compared", "", "the bundle says", "found here"):
        table.add_column(column, overflow="fold")
    for name, state, told, found in checks:
        table.add_row(name, _MARKS[state], told, found)
    return table
