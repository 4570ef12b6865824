"""Costs for people: rich tables by part and by layer, the what-if block, the published rows, stacked bars.

matplotlib and plotly are imported where they are used: they take seconds.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aero_search.cost import (
    PARTS,
    PREFILL,
    TRUST,
    Change,
    Comparison,
    Cost,
    Network,
    Protocol,
    SystemComparison,
    Workload,
    crossing,
    published_differences,
)
from aero_search.errors import RequestError
from aero_search.report.table import Sheet, sheet
from aero_search.report.units import compact, readable

if TYPE_CHECKING:
    from rich.console import Group

Quantity = Literal["communication", "latency"]
PART_LABELS: dict[str, str] = {part: part.replace("_", " ").replace("lm head", "LM head") for part in PARTS}
_COMPARED = ("GB published", "GB predicted", "error")
_AXES = {"communication": "GB", "latency": "seconds"}
# Okabe and Ito's palette and two greys: told apart by colour-blind readers, one colour a part in every plot.
_COLOURS: dict[str, str] = {
    "embedding": "#999999",
    "projections": "#0072B2",
    "positions": "#555555",
    "attention_products": "#56B4E9",
    "softmax": "#D55E00",
    "norm": "#CC79A7",
    "activation": "#E69F00",
    "feed_forward": "#009E73",
    "scaling": "#F0E442",
    "lm_head": "#000000",
    "sampling": "#8B4513",
}


def format_bytes(count: float) -> str:
    """Write bytes with three or four digits, in powers of 1000: `25.32 GB`, `615.0 MB`."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= size:
            return f"{count / size:.2f} {unit}" if unit == "GB" else f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def format_seconds(value: float) -> str:
    """Write seconds, from two minutes on as minutes: `95.2 s`, `8.21 min`."""
    return f"{value / 60:.2f} min" if abs(value) >= 120 else f"{value:.3g} s"


def parts_table(cost: Cost) -> Sheet:
    """Bytes, round trips and seconds by part of the model, each with its share, dearest first."""
    sent, latency = cost.communication_bytes, cost.latency_seconds
    rows = [
        (
            PART_LABELS[part],
            format_bytes(sent.by_op[part]),
            _share(sent.by_op[part], sent.total),
            f"{cost.rounds_by_op[part]:,.0f}",
            format_seconds(latency.by_op[part]),
            _share(latency.by_op[part], latency.total),
        )
        for part in sorted(sent.by_op, key=lambda name: -latency.by_op[name])
    ]
    total = ("total", format_bytes(sent.total), "", f"{cost.rounds:,.0f}", format_seconds(latency.total), "")
    return sheet(
        ("part", "bytes", "share", "round trips", "seconds", "share"),
        [*rows, total],
        "by part",
        sections=(len(rows),),
        styles=(*[None] * len(rows), "bold"),
    )


def layers_table(cost: Cost) -> Sheet:
    """Bytes and seconds by decoder layer, equal neighbours on one line, and what lies outside the layers."""
    sent, latency = cost.communication_bytes, cost.latency_seconds
    rows = []
    first = 0
    for i, size in enumerate(sent.by_layer):
        if i + 1 < len(sent.by_layer) and sent.by_layer[i + 1] == size:
            continue
        name = str(i) if i == first else f"{first} to {i}"
        share = sum(latency.by_layer[first : i + 1])
        rows.append(
            (name, format_bytes(size), format_seconds(latency.by_layer[i]), _share(share, latency.total))
        )
        first = i + 1
    outside = (
        "embedding, final norm, LM head",
        format_bytes(sent.outside),
        format_seconds(latency.outside),
        _share(latency.outside, latency.total),
    )
    return sheet(("layer", "bytes each", "seconds each", "share"), [*rows, outside], "by layer")


def dominating(cost: Cost) -> str:
    """One sentence: which part dominates bytes and latency, and what the latency is spent on."""
    sent, latency = cost.communication_bytes, cost.latency_seconds
    dearest = max(sent.by_op, key=lambda name: sent.by_op[name])
    slowest = max(latency.by_op, key=lambda name: latency.by_op[name])
    causes = {"compute": latency.compute, "transfer": latency.transfer, "round trips": latency.round_trips}
    cause = max(causes, key=lambda name: causes[name])
    also = " and" if slowest == dearest else f", {PART_LABELS[slowest]}"
    return (
        f"{PART_LABELS[dearest]} dominates the bytes ({_share(sent.by_op[dearest], sent.total)}){also} "
        f"the latency ({_share(latency.by_op[slowest], latency.total)}); the largest share of that is {cause} "
        f"({_share(causes[cause], latency.total)})."
    )


def cost_report(
    name: str,
    cost: Cost,
    protocol: Protocol,
    network: Network,
    changes: Sequence[Change] = (),
    workload: Workload = PREFILL,
) -> Group:
    """Everything `aero-search cost` prints of one architecture."""
    from rich.console import Group, RenderableType
    from rich.text import Text

    latency = cost.latency_seconds
    head = (
        f"{name}\nprotocol {protocol.name} ({protocol.title}; {TRUST[protocol.trust]})\n"
        f"network {network.name} ({network.bandwidth_mbps:g} Mbps, {network.rtt_ms:g} ms)\n"
        f"{format_bytes(cost.communication_bytes.total)}, {cost.rounds:,.0f} round trips, "
        f"{format_seconds(latency.total)} = {format_seconds(latency.compute)} compute "
        f"+ {format_seconds(latency.transfer)} transfer + {format_seconds(latency.round_trips)} round trips\n"
        f"set-up, once: {format_bytes(cost.communication_bytes.setup)}, {format_seconds(latency.setup)}"
    )
    head += f"\n{_money(cost, protocol)}"
    if workload != PREFILL:
        head += f"\nworkload {workload.text}"
    if cost.communication_bytes.offline:
        sent = format_bytes(cost.communication_bytes.offline)
        head += f"\npreprocessing, beside it: {sent} by the {protocol.payer} (offline=include counts it)"
    parts: list[RenderableType] = [Text(head), parts_table(cost), layers_table(cost), Text(dominating(cost))]
    if protocol.offline == "omitted":
        parts.append(
            Text("This protocol leaves out its offline phase: compare it with other online phases only.")
        )
    if changes:
        parts.append(changes_table(changes))
    return Group(*parts)


def _money(cost: Cost, protocol: Protocol) -> str:
    """What a query costs, with its parts."""
    usd = cost.usd
    machines = (
        f"{readable('usd', usd.compute)} compute"
        if protocol.cores or protocol.gpus
        else "compute unknown: the protocol names no cores"
    )
    return f"{readable('usd', usd.total)} = {readable('usd', usd.egress)} egress + {machines} (price={usd.prices})"


def variants_table(costs: Sequence[tuple[str, Cost]]) -> Sheet:
    """Several variants side by side, with what each saves against the first."""
    rows = []
    for name, cost in costs:
        first = costs[0][1]
        sent, latency = cost.communication_bytes.total, cost.latency_seconds.total
        rows.append(
            (
                compact(name),
                format_bytes(sent),
                _times(first.communication_bytes.total, sent),
                f"{cost.rounds:,.0f}",
                format_seconds(latency),
                _times(first.latency_seconds.total, latency),
            )
        )
    title = f"savings against {costs[0][0]}" if costs else ""
    return sheet(("variant", "bytes", "saved", "round trips", "latency", "saved"), rows, title)


def changes_table(changes: Sequence[Change]) -> Sheet:
    """The what-if block: single changes with what each saves."""
    rows = [
        (
            change.description,
            format_bytes(change.bytes_saved),
            format_seconds(change.seconds_saved),
            f"{change.rounds_saved:,.0f}",
        )
        for change in changes
    ]
    return sheet(("change", "bytes", "seconds", "round trips"), rows, "what one change saves")


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


def plot_costs(costs: Sequence[tuple[str, Cost]], path: Path, quantity: Quantity = "communication") -> Path:
    """Draw stacked bars by part, one bar a variant, dearest parts first.

    Args:
        costs: names and costs, in the order of the bars.
        path: ends in .png, .svg or .pdf (matplotlib), or .html (plotly, one file that works offline).

    Raises:
        RequestError: another suffix.
    """
    names = [name for name, _ in costs]
    shares = [_by_part(cost, quantity) for _, cost in costs]
    parts: list[str] = [part for part in PARTS if any(share.get(part, 0.0) > 0 for share in shares)]
    parts.sort(key=lambda part: -sum(share.get(part, 0.0) for share in shares))
    bars = {part: [share.get(part, 0.0) for share in shares] for part in parts}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".html":
        _plot_html(names, bars, path, quantity)
    elif path.suffix in (".png", ".svg", ".pdf"):
        _plot_image(names, bars, path, quantity)
    else:
        raise RequestError(f"the plot {path.name} has no known format: end it in .png, .svg, .pdf or .html")
    return path


def _by_part(cost: Cost, quantity: Quantity) -> dict[str, float]:
    if quantity == "communication":
        return {part: sent / 1e9 for part, sent in cost.communication_bytes.by_op.items()}
    return dict(cost.latency_seconds.by_op)


def _plot_image(names: Sequence[str], bars: dict[str, list[float]], path: Path, quantity: Quantity) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Lying bars: names in the paper's notation are long, and stay readable beside each other.
    figure = Figure(figsize=(9.0, 1.6 + 0.5 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    left = [0.0] * len(names)
    for part, widths in bars.items():
        axes.barh(
            range(len(names)), widths, left=left, label=PART_LABELS[part], color=_COLOURS[part], height=0.7
        )
        left = [before + width for before, width in zip(left, widths, strict=True)]
    for i, width in enumerate(left):
        axes.annotate(f" {width:.3g}", (width, i), ha="left", va="center", fontsize=9)
    axes.set_yticks(range(len(names)), [textwrap.fill(name, 30) for name in names])
    axes.invert_yaxis()
    axes.set_xlim(right=1.12 * max(left))
    axes.set_xlabel(f"{quantity} ({_AXES[quantity]})")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.savefig(path, dpi=150)


def _plot_html(names: Sequence[str], bars: dict[str, list[float]], path: Path, quantity: Quantity) -> None:
    import plotly.graph_objects as go

    figure = go.Figure(
        [
            go.Bar(name=PART_LABELS[part], x=list(names), y=heights, marker_color=_COLOURS[part])
            for part, heights in bars.items()
        ]
    )
    figure.update_layout(
        barmode="stack",
        template="plotly_white",
        yaxis_title=f"{quantity} ({_AXES[quantity]})",
        legend_traceorder="reversed",
    )
    figure.write_html(path, include_plotlyjs=True)


def _share(part: float, total: float) -> str:
    return f"{part / total:.1%}" if total else "0.0%"


def _times(before: float, after: float) -> str:
    return f"{before / after:.2f}x" if after else "-"
