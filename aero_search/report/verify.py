"""What `verify` compared, as a table."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from aero_search.report.table import Sheet, sheet

_MARKS = {"ok": ("ok", "green"), "differs": ("differs", "red"), "skipped": ("not checked", "yellow")}


def verification_table(title: str, checks: Iterable[tuple[str, str, str, str]]) -> Sheet:
    """One row a check: what, its state, what the bundle says, what was found."""
    rows = [(name, Text(*_MARKS[state]), told, found) for name, state, told, found in checks]
    return sheet(("compared", "", "the bundle says", "found here"), rows, title, words=4)
