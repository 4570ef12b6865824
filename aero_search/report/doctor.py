"""The doctor's findings as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from aero_search.report.checkup import Check


def checkup_table(checks: Sequence[Check]) -> Table:
    """One row a finding; the mend only where something is not ok."""
    table = Table(title="aero-search doctor", title_justify="left")
    for column in ("part", "", "found", "mend"):
        table.add_column(column, overflow="fold")
    for check in checks:
        mark = ("ok", "green") if check.ok else ("broken", "red") if check.essential else ("absent", "yellow")
        table.add_row(check.name, Text(*mark), check.found, "" if check.ok else check.mend)
    return table
