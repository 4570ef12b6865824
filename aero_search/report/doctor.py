"""The doctor's findings as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from aero_search.report.diagnostics import Check
from aero_search.report.table import Sheet, sheet
from aero_search.version import __version__


def diagnostics_table(checks: Sequence[Check]) -> Sheet:
    """One row a finding; the mend only where something is not ok."""
    rows = [(c.name, Text(*_mark(c)), c.found, "" if c.ok else c.mend) for c in checks]
    return sheet(("part", "", "found", "mend"), rows, f"aero-search {__version__}", words=4)


def _mark(check: Check) -> tuple[str, str]:
    if check.ok:
        return "ok", "green"
    return ("broken", "red") if check.essential else ("absent", "yellow")
