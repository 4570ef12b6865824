"""The front as an interactive plotly figure, in which hovering over a candidate shows what it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from aero_search.front.quality import as_minimized
from aero_search.report import palette
from aero_search.report.chart import Mark, Panel
from aero_search.report.labels import Box, place
from aero_search.report.published import PublishedMark
from aero_search.report.static import band_edge, baseline_lines, significant_tick, step_text
from aero_search.report.units import quality_name, quality_text, readable

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Pixels of one panel's plotting area, and of the margins around it.
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 560, 400, 70, 20, 74, 64
# A browser's sans-serif at size 11: pixels a character (generous) and a line.
_CHARACTER, _LINE = 6.4, 14.0
_STYLES: dict[str, tuple[str, int, str, float, str]] = {
    "dominated": ("circle", 8, palette.DOMINATED, 0.5, "dominated"),
    "plateau": ("triangle-up", 10, palette.PLATEAU, 1.0, "stuck at the unigram plateau"),
    "stopped": ("triangle-down", 9, palette.DOMINATED, 0.8, "stopped at a rung"),
    "diverged": ("x-thin", 9, palette.DIVERGED, 1.0, "diverged"),
    "front": ("circle", 11, palette.FRONT, 1.0, "front"),
}
_ARROWS = {
    "above": "triangle-up",
    "below": "triangle-down",
    "left": "triangle-left",
    "right": "triangle-right",
}


def make_figure(panels: Sequence[Panel], title: str, subtitle: str) -> Figure:
    """The panels beside and below each other, two a row."""
    import plotly.graph_objects as go

    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    width = columns * (_WIDTH + _LEFT + _RIGHT)
    cell = _HEIGHT + _BOTTOM + 20
    height = _TOP + rows * cell + 40
    figure = go.Figure()
    annotations: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    layout: dict[str, Any] = {}
    for i, panel in enumerate(panels):
        row, column = divmod(i, columns)
        left, top = column * (_WIDTH + _LEFT + _RIGHT) + _LEFT, _TOP + row * cell
        suffix = str(i + 1) if i else ""
        layout[f"xaxis{suffix}"] = _axis(
            panel.x, panel.x_name, left / width, (left + _WIDTH) / width, "y" + suffix
        )
        layout[f"yaxis{suffix}"] = _axis(
            panel.y, panel.y_name, 1 - (top + _HEIGHT) / height, 1 - top / height, "x" + suffix
        )
        axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
        for trace in _traces(panel, first=i == 0):
            figure.add_trace(go.Scatter(**trace, **axes))
        shapes += _shapes(panel, suffix)
        annotations += _annotations(panel, suffix)
    figure.update_layout(
        **layout,
        title={
            "text": f"<b>{escape(title)}</b><br><span style='font-size:12px;color:{palette.MUTED}'>"
            f"{escape(subtitle)}</span>",
            "x": _LEFT / width, "y": 1 - 30 / height, "font": {"size": 17},
        },
        width=width, height=height, template="none", paper_bgcolor="white", plot_bgcolor="white",
        font={"family": "system-ui, Segoe UI, Roboto, sans-serif", "color": palette.INK, "size": 12},
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        legend={"orientation": "h", "x": 0.5, "xanchor": "center", "y": 8 / height, "yanchor": "bottom"},
        shapes=shapes, annotations=annotations, hoverlabel={"align": "left", "bgcolor": "white"},
    )  # fmt: skip
    return figure


def _axis(axis: Any, title: str, start: float, end: float, anchor: str) -> dict[str, Any]:
    ends = [axis.low, axis.high]
    return {
        "title": {"text": title, "standoff": 12}, "domain": [start, end], "anchor": anchor,
        "type": "log" if axis.log else "linear", "range": [math.log10(v) for v in ends] if axis.log else ends,
        "tickvals": list(axis.ticks), "ticktext": [significant_tick(tick) for tick in axis.ticks],
        "gridcolor": palette.GRID, "zeroline": False, "linecolor": "#B8BDC3", "showline": True, "ticks": "",
    }  # fmt: skip


def _traces(panel: Panel, first: bool) -> list[dict[str, Any]]:
    traces: list[dict[str, Any]] = []
    if panel.step:
        xs, ys = zip(*panel.step, strict=True)
        traces.append({
            "x": xs, "y": ys, "mode": "lines", "line": {"color": palette.FRONT, "width": 2}, "opacity": 0.75,
            "hoverinfo": "skip", "showlegend": first, "name": step_text([panel], " "), "legendgroup": "step",
        })  # fmt: skip
    cost, perplexity = panel.baseline
    if cost is not None and perplexity is not None:
        traces.append({
            "x": [cost], "y": [perplexity], "mode": "markers", "name": "baseline SM + LN + G",
            "legendgroup": "baseline", "showlegend": first, "hoverinfo": "skip",
            "marker": {"symbol": "star", "size": 24, "color": palette.BASELINE},
        })  # fmt: skip
    if panel.published:
        traces.append({
            "x": [mark.x for mark in panel.published], "mode": "markers", "name": "published by AERO",
            "y": [panel.y.low if mark.y is None else mark.y for mark in panel.published],
            "legendgroup": "published", "showlegend": first, "cliponaxis": False,
            "hovertemplate": "%{text}<extra></extra>", "text": [_published(mark) for mark in panel.published],
            "marker": {
                "symbol": ["triangle-up-open" if mark.y is None else "diamond-open" for mark in panel.published],
                "size": 9, "color": palette.PUBLISHED, "line": {"width": 1.5},
            },
        })  # fmt: skip
    for kind, (symbol, size, color, opacity, name) in _STYLES.items():
        marks = [mark for mark in panel.marks if mark.kind == kind and not mark.arrow]
        if not marks:
            continue
        thin = symbol == "x-thin"
        traces.append({
            "x": [mark.x for mark in marks], "y": [mark.y for mark in marks], "mode": "markers", "name": name,
            "legendgroup": kind, "showlegend": first, "opacity": opacity,
            "hovertemplate": "%{text}<extra></extra>",
            "text": [_hover(mark, panel) for mark in marks],
            **_bars(marks, color),
            "marker": {
                "symbol": symbol, "size": size,
                "color": [palette.FRONT if mark.on_front else color for mark in marks],
                "line": {"width": 2.2 if thin else 1, "color": color if thin else "white"},
            },
        })  # fmt: skip
    if outliers := [mark for mark in panel.marks if mark.arrow]:
        traces.append({
            "x": [mark.x for mark in outliers], "y": [mark.y for mark in outliers], "mode": "markers",
            "name": "beyond the axes: number and value", "legendgroup": "beyond", "showlegend": first,
            "hovertemplate": "%{text}<extra></extra>", "text": [_hover(mark, panel) for mark in outliers],
            "marker": {
                "symbol": [f"{_ARROWS[mark.arrow]}-open" for mark in outliers], "size": 9,
                "color": palette.DOMINATED, "line": {"width": 1.4},
            },
        })  # fmt: skip
    if tied := [mark for mark in panel.marks if mark.tied]:
        traces.append({
            "x": [mark.x for mark in tied], "y": [mark.y for mark in tied], "mode": "markers",
            "name": "a tie with another point of the front", "legendgroup": "tie", "showlegend": first,
            "hoverinfo": "skip",
            "marker": {"size": 5, "color": "white", "line": {"width": 1, "color": palette.FRONT}},
        })  # fmt: skip
    if knee := [mark for mark in panel.marks if mark.knee]:
        traces.append({
            "x": [knee[0].x], "y": [knee[0].y], "mode": "markers", "name": "best balance",
            "legendgroup": "knee", "showlegend": first, "hoverinfo": "skip",
            "marker": {"symbol": "circle-open", "size": 19, "color": palette.KNEE, "line": {"width": 2.4}},
        })  # fmt: skip
    return traces


def _bars(marks: Sequence[Mark], color: str) -> dict[str, Any]:
    """95 % intervals over seeds, where there are several."""
    if not any(mark.seeds for mark in marks):
        return {}
    up = [mark.bar[1] - mark.y if mark.bar else 0.0 for mark in marks]
    down = [mark.y - mark.bar[0] if mark.bar else 0.0 for mark in marks]
    # Where marks have a list of colours, plotly's own choice is black, also on a dark page.
    look = {"thickness": 1.2, "width": 4, "color": color}
    return {"error_y": {"type": "data", "array": up, "arrayminus": down, **look}}


def _published(mark: PublishedMark) -> str:
    row = mark.row
    said = "diverged" if row.perplexity is None else f"perplexity {row.perplexity:g}"
    return escape(
        f"{row.label}, AERO's tables: {said} on {row.dataset}, {row.comm_gb:g} GB, {row.latency_min:g} min"
    )


def _hover(mark: Mark, panel: Panel) -> str:
    record = mark.record
    costs = [
        f"{readable(m, v)}{' FLOPs' if m == 'flops' else ''}"
        for m, v in record.costs.items()
        if m != "rounds"
    ]
    quality = panel.quality
    lines = [f"<b>{escape(record.notation)}</b>  #{record.number}"]
    lines.append(
        escape(record.reason or record.state)
        if record.perplexity is None
        else f"{quality_name(quality)} {quality_text(quality, record.metric(quality))}"
    )
    if mark.seeds is not None and mark.bar is not None:
        low, high = sorted(as_minimized(quality, end) for end in mark.bar)
        lines.append(
            f"{quality_text(quality, low)} to {quality_text(quality, high)} (95 %, {mark.seeds.seeds} seeds), "
            f"on the front with probability {mark.seeds.probability:.2f}"
        )
    if record.state == "plateau":
        lines.append("never left the unigram plateau")
    if record.costs.get("rounds"):
        costs.append(f"{record.costs['rounds']:,.0f} rounds")
    return "<br>".join([*lines, ", ".join(costs), f"learning rate {record.lr:g}, seed {record.seed}"])


def _shapes(panel: Panel, suffix: str) -> list[dict[str, Any]]:
    axes = {"xref": f"x{suffix}", "yref": f"y{suffix}", "layer": "below"}
    shapes = [
        {"type": "line", "x0": x0, "y0": y0, "x1": x1, "y1": y1, **axes,
         "line": {"color": palette.BASELINE, "width": 1.3, "dash": "dot"}}
        for (x0, y0), (x1, y1) in baseline_lines(panel)
    ]  # fmt: skip
    if panel.band is not None:
        shapes.append({
            "type": "rect", "x0": panel.x.low, "x1": panel.x.high, "y0": panel.band, "y1": panel.y.high,
            "fillcolor": palette.BAND, "line": {"width": 0}, **axes,
        })  # fmt: skip
    return shapes


def _annotations(panel: Panel, suffix: str) -> list[dict[str, Any]]:
    """Labels of the front and of outliers, placed for the figure as it opens; a zoom keeps them at their points."""
    named = sorted((mark for mark in panel.marks if mark.names), key=lambda mark: not mark.on_front)
    at = [_pixels(panel, mark.x, mark.y) for mark in named]
    texts = [mark.names for mark in named]
    corners = [_pixels(panel, *corner) for corner in panel.step]
    lines = list(pairwise(corners))
    lines += [
        (_pixels(panel, *a), _pixels(panel, *b)) for a, b in (*baseline_lines(panel), *band_edge(panel))
    ]
    marks = [_pixels(panel, mark.x, mark.y) for mark in panel.marks]
    placed = place(
        at,
        [[_size(text) for text in variants] for variants in texts],
        Box(0, 0, _WIDTH, _HEIGHT),
        [Box(x - 7, y - 7, 14, 14) for x, y in marks],
        lines,
        unit=1.3,
    )
    annotations = []
    for mark, (x, y), variants, where in zip(named, at, texts, placed, strict=True):
        if where is None:
            continue
        box, text = where.box, escape(variants[where.variant]).replace("\n", "<br>")
        annotations.append({
            "x": math.log10(mark.x) if panel.x.log else mark.x,
            "y": math.log10(mark.y) if panel.y.log else mark.y,
            "xref": f"x{suffix}", "yref": f"y{suffix}", "align": "left",
            "font": {"size": 11, "color": palette.INK if mark.on_front else palette.MUTED},
            "text": f"<b>{text}</b>" if mark.knee else text,
            "ax": box.x + box.width / 2 - x, "ay": -(box.y + box.height / 2 - y), "borderpad": 0,
            "showarrow": True, "arrowhead": 0, "arrowwidth": 0.8, "standoff": 7,
            "arrowcolor": palette.MUTED if where.leader else "rgba(0,0,0,0)",
        })  # fmt: skip
    return annotations


def _pixels(panel: Panel, x: float, y: float) -> tuple[float, float]:
    return panel.x.share(x) * _WIDTH, panel.y.share(max(y, panel.y.low)) * _HEIGHT


def _size(text: str) -> tuple[float, float]:
    lines = text.split("\n")
    return max(map(len, lines)) * _CHARACTER, len(lines) * _LINE
