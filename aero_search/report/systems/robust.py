"""A study under many systems, for people: where each point stays on the front, and what it loses at worst."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aero_search.front.robust import Robustness
from aero_search.report.table import sheet
from aero_search.report.units import quality_text

if TYPE_CHECKING:
    from rich.console import Group


def robust_report(study: str, found: Robustness) -> Group:
    """Points, those that lose least in the worst case first, and what was left out."""
    from rich.console import Group, RenderableType
    from rich.text import Text

    rows = []
    for standing in found.standings:
        unable = sum(on is None for on in standing.on_front.values())
        rows.append(
            (
                standing.record.label,
                quality_text("perplexity", standing.record.perplexity),
                f"{standing.fronts} of {len(found.systems)}",
                str(unable) if unable else "",
                f"{standing.regret[standing.worst]:.1%}",
                standing.worst,
            )
        )
    heads = ("candidate", "perplexity", "on the front", "cannot run", "worst regret", "under")
    title = f"study {study} under {len(found.systems)} systems: regret is hypervolume, a share of each system's box"
    parts: list[RenderableType] = [sheet(heads, rows, title)]
    if found.standings:
        best = found.standings[0]
        parts.append(
            Text(
                f"loses least in the worst case: {best.record.label}, {best.regret[best.worst]:.1%} ({best.worst})"
            )
        )
    parts += [Text(f"left out: {name}, {why}") for name, why in found.left_out.items()]
    if found.warning:
        parts.append(Text(found.warning))
    return Group(*parts)
