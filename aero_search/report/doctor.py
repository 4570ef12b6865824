"""The doctor's findings as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from aero_search.report.checkup import Check


def checkup_table(checks: Sequence[Check]) -> Table:
    """One row a finding; the mend only where something is not ok."""
    table = Table(title="aero-search doctor", title_justify="left")
    for column in ("part", "", "found", "mend"):
        table.add_column(column, overflow="fold")
    for check in checks:
        mark = "[green]ok[/]" if check.ok else ("[red]broken[/]" if check.essential else "[yellow]absent[/]")
        table.add_row(check.name, mark, check.found, "" if check.ok else check.mend)
    return table
