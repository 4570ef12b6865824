"""Costs as stacked bars, one colour a part.

matplotlib and plotly are imported where they are used: they take seconds.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from aero_search.cost import (
    PARTS,
    Cost,
)
from aero_search.errors import RequestError
from aero_search.report.costs.tables import PART_LABELS

Quantity = Literal["communication", "latency"]
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
