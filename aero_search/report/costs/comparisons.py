"""Prices beside what was published and read: AERO's tables, and other systems' own readings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aero_search.cost import (
    Comparison,
    Protocol,
    SystemComparison,
    crossing,
    published_differences,
)
from aero_search.report.costs.tables import format_bytes, format_seconds
from aero_search.report.table import Sheet, sheet

if TYPE_CHECKING:
    from rich.console import Group

_COMPARED = ("GB published", "GB predicted", "error")


def published_report(comparisons: Sequence[Comparison]) -> Group:
    """Published beside predicted for every row, split calibrate/validate, and the row differences."""
    from rich.console import Group, RenderableType
    from rich.text import Text

    tables: list[RenderableType] = []
    for split in ("calibrate", "validate"):
        rows = [c for c in comparisons if c.row.split == split]
        tables += [_comparison_table(split, rows), Text(_summary(rows))]
    tables.append(_differences_table(comparisons))
    return Group(*tables)


def systems_report(compared: Sequence[tuple[Protocol, Sequence[SystemComparison]]]) -> Group:
    """By system, rows that its file was not fitted to beside what it predicts, and rows that contradict others."""
    from rich.console import Group, RenderableType
    from rich.text import Text

    parts: list[RenderableType] = []
    for protocol, comparisons in compared:
        title = f"{protocol.name}: {protocol.title} ({protocol.trust}, preprocessing {protocol.offline})"
        for split, what in (
            ("validate", "not seen by the fit"),
            ("contradicts", "in contradiction to others"),
        ):
            chosen = [c for c in comparisons if c.row.split == split]
            if chosen:
                parts.append(_systems_table(f"{title}, rows {what}", chosen))
        notes = {c.row.label: c.row.note for c in comparisons if c.row.split == "contradicts" and c.row.note}
        parts += [Text(f"{label}: {note}") for label, note in notes.items()]
        parts.append(Text(_within(protocol, comparisons)))
    if warning := crossing(protocol.trust for protocol, _ in compared):
        parts.append(Text(warning))
    return Group(*parts)


def _systems_table(title: str, comparisons: Sequence[SystemComparison]) -> Sheet:
    shown = {
        "bytes": format_bytes,
        "offline_bytes": format_bytes,
        "rounds": lambda value: f"{value:,.1f}",
        "seconds": format_seconds,
    }
    cells = [
        (
            c.row.label,
            c.quantity.replace("_", " "),
            shown[c.quantity](c.read),
            shown[c.quantity](c.predicted),
            f"{c.error:+.2%}",
        )
        for c in comparisons
    ]
    return sheet(("row", "quantity", "read", "predicted", "error"), cells, title, words=2)


def _within(protocol: Protocol, comparisons: Sequence[SystemComparison]) -> str:
    found = []
    for quantity in ("bytes", "offline_bytes", "rounds", "seconds"):
        errors = [abs(c.error) for c in comparisons if c.quantity == quantity and c.row.split == "validate"]
        if errors:
            found.append(f"{quantity.replace('_', ' ')} within {max(errors):.2%} ({len(errors)})")
    return f"{protocol.name}, rows not seen: " + (", ".join(found) or "none")


def _comparison_table(split: str, rows: Sequence[Comparison]) -> Sheet:
    title = (
        "rows the fit used (calibrate)" if split == "calibrate" else "rows the fit has not seen (validate)"
    )
    cells = [
        (
            c.row.variant,
            str(c.row.n_layer),
            str(c.row.seq_len),
            str(c.row.ffn_layers),
            f"{c.row.comm_gb:.2f}",
            f"{c.comm_gb:.2f}",
            f"{c.comm_error:+.1%}",
            f"{c.row.latency_min:.2f}",
            f"{c.latency_min:.2f}",
            f"{c.latency_error:+.1%}",
        )
        for c in rows
    ]
    heads = (
        "variant",
        "layers",
        "tokens",
        "FFNs",
        *_COMPARED,
        *(head.replace("GB", "min") for head in _COMPARED),
    )
    return sheet(heads, cells, title, parts=(0, 0, 0, 0, 1, 1, 1, 2, 2, 2))


def _differences_table(comparisons: Sequence[Comparison]) -> Sheet:
    rows = [
        (d.before.label, d.after.label, f"{d.published_gb:.2f}", f"{d.predicted_gb:.2f}", f"{d.error:+.1%}")
        for d in published_differences(tuple(comparisons))
    ]
    return sheet(("from", "to", *_COMPARED), rows, "what each step saves", words=2)


def _summary(rows: Sequence[Comparison]) -> str:
    """Largest and mean absolute errors, SOTA rows apart."""
    lines = []
    for name, chosen in (
        ("rows", [c for c in rows if not c.row.is_sota]),
        ("SOTA rows", [c for c in rows if c.row.is_sota]),
    ):
        if chosen:
            sent = [abs(c.comm_error) for c in chosen]
            latency = [abs(c.latency_error) for c in chosen]
            lines.append(
                f"{len(chosen)} {name}: bytes within {max(sent):.1%} (mean {sum(sent) / len(sent):.1%}), "
                f"latency within {max(latency):.1%} (mean {sum(latency) / len(latency):.1%})"
            )
    return "\n".join(lines)
