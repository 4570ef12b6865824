"""What `verify` compared, as a table."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

_MARKS = {"ok": ("ok", "green"), "differs": ("differs", "red"), "skipped": ("not checked", "yellow")}


def verification_table(title: str, checks: Iterable[tuple[str, str, str, str]]) -> Table:
    """One row a check: what, its state, what the bundle says, what was found."""
    table = Table(title=title, title_justify="left")
    for column in ("compared", "", "the bundle says", "found here"):
        table.add_column(column, overflow="fold")
    for name, state, told, found in checks:
        table.add_row(name, Text(*_MARKS[state]), told, found)
    return table
