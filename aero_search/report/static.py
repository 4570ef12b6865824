"""The front as a still picture, with matplotlib and without pyplot's global state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from aero_search.report import palette
from aero_search.report.chart import Mark, Panel
from aero_search.report.labels import Box, place
from aero_search.report.picture import DPI, FONT, heading, new_figure, style_axes
from aero_search.report.units import significant

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# Inches of one panel (wider where it stands alone), of the title and of a line of the legend. Two panels are 846
# pixels wide in a README on GitHub: text of 9 points is then 11 pixels high.
_WIDTH, _ALONE, _HEIGHT, _HEAD, _LINE = 4.8, 7.0, 4.3, 0.72, 0.2
_TEXT = 9.0
# kind: marker, area in points squared, colour, opacity, what the legend says
_STYLES: dict[str, tuple[str, float, str, float, str]] = {
    "front": ("o", 58, palette.FRONT, 1.0, "front"),
    "dominated": ("o", 34, palette.DOMINATED, 0.45, "dominated"),
    "plateau": ("^", 46, palette.PLATEAU, 1.0, "stuck at the unigram plateau"),
    "stopped": ("v", 40, palette.DOMINATED, 0.8, "stopped at a rung"),
    "diverged": ("x", 42, palette.DIVERGED, 1.0, "diverged"),
}
# How the list of outliers begins; they stand in it as in the panel.
BEYOND = "left to right"
# Where an outlier points to.
_ARROWS = {"above": "^", "below": "v", "left": "<", "right": ">"}


def draw(panels: Sequence[Panel], title: str, subtitle: str) -> Figure:
    """Draw every panel on one figure, two a row; the legend takes the place that they leave free, else the foot."""
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    across = _WIDTH if columns == 2 else _ALONE
    handles = _handles(panels)
    free = len(panels) < rows * columns
    foot = 0.1 if free else 0.2 + _LINE * _lines(handles)
    width, height = across * columns, _HEIGHT * rows + _HEAD + foot
    figure = new_figure(width, height)
    canvas: Any = figure.canvas
    axes = []
    for i, panel in enumerate(panels):
        row, column = divmod(i, columns)
        box = (
            (column * across + 0.72) / width,
            (foot + (rows - 1 - row) * _HEIGHT + 0.6) / height,
            (across - 0.9) / width,
            # Room for a list of outliers that stands above.
            (_HEIGHT - 0.75 - 0.9 * _LINE * any(map(_list_above, panels))) / height,
        )
        axis = figure.add_axes(box)
        _draw_panel(axis, panel)
        axes.append(axis)
    heading(figure, title, subtitle, left=0.72)
    if free:
        _legend(
            figure, handles, "center left", (across + 0.5) / width, (foot + _HEIGHT / 2) / height, columns=1
        )
    else:
        _legend(figure, handles, "lower center", 0.5, 0.08 / height, columns=2)
    # Text is measured only after a first drawing, so labels come last.
    canvas.draw()
    for axis, panel in zip(axes, panels, strict=True):
        _label(axis, panel, canvas.get_renderer())
    return figure


def _draw_panel(axis: Axes, panel: Panel) -> None:
    if panel.x.log:
        axis.set_xscale("log")
    if panel.y.log:
        axis.set_yscale("log")
    axis.set_xlim(panel.x.low, panel.x.high)
    axis.set_ylim(panel.y.low, panel.y.high)
    axis.set_xticks(panel.x.ticks, [significant_tick(tick) for tick in panel.x.ticks])
    axis.set_yticks(panel.y.ticks, [significant_tick(tick) for tick in panel.y.ticks])
    style_axes(axis)
    axis.set_xlabel(panel.x_name, color=palette.INK, size=10, labelpad=6)
    axis.set_ylabel(panel.y_name, color=palette.INK, size=10, labelpad=6)
    if panel.band is not None:
        axis.axhspan(panel.band, panel.y.high, color=palette.BAND, linewidth=0, zorder=0.6)
    if panel.step:
        xs, ys = zip(*panel.step, strict=True)
        axis.plot(xs, ys, color=palette.FRONT, linewidth=1.6, alpha=0.75, zorder=2, solid_joinstyle="miter")
        axis.fill_between(xs, ys, panel.band or panel.y.high, color=palette.FRONT, alpha=0.05, linewidth=0)
    _draw_baseline(axis, panel)
    _draw_published(axis, panel)
    _draw_marks(axis, panel.marks)


def _draw_baseline(axis: Axes, panel: Panel) -> None:
    style: dict[str, Any] = {
        "color": palette.BASELINE,
        "linewidth": 1.1,
        "linestyle": (0, (2, 2.5)),
        "zorder": 1,
    }
    for (x0, y0), (x1, y1) in baseline_lines(panel):
        axis.plot([x0, x1], [y0, y1], **style)
    cost, perplexity = panel.baseline
    if cost is not None and perplexity is not None:
        axis.scatter([cost], [perplexity], marker="*", s=400, color=palette.BASELINE, zorder=3, linewidths=0)


def _draw_published(axis: Axes, panel: Panel) -> None:
    """Diamonds where a row's perplexity compares, else its cost alone, as a tick on the lower edge."""
    style: dict[str, Any] = {"edgecolors": palette.PUBLISHED, "facecolors": "none", "linewidths": 1.3}
    for mark in panel.published:
        at_edge = mark.y is None
        axis.scatter(
            [mark.x], [panel.y.low if mark.y is None else mark.y], marker="^" if at_edge else "D",
            s=40 if at_edge else 36, clip_on=False, zorder=2.2, **style,
        )  # fmt: skip


def _draw_marks(axis: Axes, marks: Sequence[Mark]) -> None:
    """All marks of one look at once: the parts of a picture do not grow with the candidates of a study."""
    for color, on_front in ((palette.FRONT, True), (palette.DOMINATED, False)):
        if bars := [(m.x, m.y, *m.bar) for m in marks if m.bar is not None and m.on_front == on_front]:
            xs, ys, low, high = np.transpose(bars)
            axis.errorbar(
                xs, ys, yerr=[ys - low, high - ys], fmt="none", capsize=3, elinewidth=1.2, ecolor=color,
                zorder=3.5,
            )  # fmt: skip
    alike: defaultdict[_Look, list[Mark]] = defaultdict(list)
    for mark in marks:
        for look in _looks(mark):
            alike[look].append(mark)
    for look, those in alike.items():
        axis.scatter(
            [mark.x for mark in those], [mark.y for mark in those], marker=look.marker, s=look.area,
            facecolors=look.face, edgecolors=look.edge, linewidths=look.width, zorder=look.height,
            alpha=look.alpha,
        )  # fmt: skip


class _Look(NamedTuple):
    """How a mark is drawn: its area and the width of its edge in points, and its height above the picture."""

    marker: str
    area: float
    face: str
    edge: str | None
    width: float
    height: float
    alpha: float | None = None


def _looks(mark: Mark) -> Iterator[_Look]:
    """What a mark is made of, from below."""
    marker, size, color, alpha, _ = _STYLES[mark.kind]
    if mark.arrow:
        yield _Look(_ARROWS[mark.arrow], 34, "none", color, 1.2, 4)
        return
    if mark.kind == "diverged":
        yield _Look(marker, size, color, None, 1.9, 4)
        return
    if mark.on_front and mark.kind == "plateau":
        color = palette.FRONT
    # A white rim keeps marks apart where they touch.
    yield _Look(marker, size, color, "white", 0.9, 5 if mark.on_front else 3, alpha)
    if mark.tied:
        yield _Look("o", 14, "white", None, 0, 5.5)
    if mark.knee:
        yield _Look("o", 170, "none", palette.KNEE, 1.9, 6)


def _listed(panel: Panel) -> list[Mark]:
    """The outliers of the band, left to right: there they lie too close to be named beside their marks."""
    return sorted((m for m in panel.marks if m.outlier and m.y > (panel.band or m.y)), key=lambda m: m.x)


def _list_above(panel: Panel) -> bool:
    """Whether the list stands above the panel: where marks without a sound perplexity lie high in the band."""
    return bool(_listed(panel)) and any(m.kind in ("plateau", "stopped", "diverged") for m in panel.marks)


def _list(axis: Axes, panel: Panel, renderer: Any) -> None:
    """Write the outliers of the band in two lines at most, with numbers alone where values are too many."""
    width = axis.get_window_extent(renderer).width - 10 * DPI / 72
    for variant in (0, 1):
        lines = [""]
        for mark in _listed(panel):
            word = " ".join(mark.names[variant].split())
            longer = f"{lines[-1]} \N{MIDDLE DOT} {word}" if lines[-1] else f"{BEYOND}: {word}"
            if lines[-1] and _measure(axis, longer, renderer)[0] > width:
                lines.append(word)
            else:
                lines[-1] = longer
        if len(lines) <= 2:
            break
    above = _list_above(panel)
    axis.annotate(
        "\n".join(lines[:2]), (0, 1), xycoords="axes fraction", xytext=(0, 4) if above else (5, -5),
        textcoords="offset points", size=_TEXT, va="bottom" if above else "top", ha="left",
        color=palette.MUTED, family=FONT, linespacing=1.2,
    )  # fmt: skip


def _label(axis: Axes, panel: Panel, renderer: Any) -> None:
    """Name the front's points, and outliers by number and value; lengths are pixels of the canvas."""
    from matplotlib.patheffects import Normal, Stroke

    # The front comes first, and so chooses its places first.
    listed = [] if panel.band is None else _listed(panel)
    if listed:
        _list(axis, panel, renderer)
    named = [mark for mark in panel.marks if mark.names and not any(mark is other for other in listed)]
    named.sort(key=lambda mark: not mark.on_front)
    if not named:
        return
    per_point = DPI / 72
    to_pixels = axis.transData.transform
    texts = [mark.names for mark in named]
    sizes = [[_measure(axis, text, renderer) for text in variants] for variants in texts]
    anchors = [_pair(to_pixels((mark.x, mark.y))) for mark in named]
    radius = 5.0 * per_point
    obstacles = [
        _around(_pair(to_pixels((mark.x, mark.y))), radius * (1.5 if mark.knee else 1.0))
        for mark in panel.marks
    ]
    cost, perplexity = panel.baseline
    if cost is not None and perplexity is not None:
        obstacles.append(_around(_pair(to_pixels((cost, perplexity))), 1.6 * radius))
    published = [(p.x, panel.y.low if p.y is None else p.y) for p in panel.published]
    obstacles += [_around(_pair(to_pixels(at)), radius) for at in published]
    frame = axis.get_window_extent(renderer)
    corners = [_pair(to_pixels(corner)) for corner in panel.step]
    lines = list(pairwise(corners))
    bars = [((m.x, m.bar[0]), (m.x, m.bar[1])) for m in panel.marks if m.bar is not None]
    lines += [
        (_pair(to_pixels(a)), _pair(to_pixels(b)))
        for a, b in (*baseline_lines(panel), *band_edge(panel), *bars)
    ]
    placed = place(
        anchors,
        sizes,
        Box(frame.x0 + per_point, frame.y0 + per_point, frame.width - 2 * per_point, frame.height),
        obstacles,
        lines,
        unit=per_point,
    )
    to_data = axis.transData.inverted().transform
    for variants, where, mark in zip(texts, placed, named, strict=True):
        if where is None:
            continue
        x, y = to_data((where.box.x, where.box.y + where.box.height))
        text = axis.text(
            x, y, variants[where.variant], size=_TEXT, va="top", ha="left",
            color=palette.INK if mark.on_front else palette.MUTED,
            family=FONT, weight="bold" if mark.knee else "normal", zorder=7, linespacing=1.15,
        )  # fmt: skip
        text.set_path_effects([Stroke(linewidth=2.2, foreground="white"), Normal()])
        if where.leader is not None:
            end = to_data(where.leader)
            axis.plot([mark.x, end[0]], [mark.y, end[1]], color=palette.MUTED, linewidth=0.7, zorder=2.5)


def _measure(axis: Axes, text: str, renderer: Any) -> tuple[float, float]:
    probe = axis.text(0, 0, text, size=_TEXT, family=FONT, weight="bold", linespacing=1.15)
    probe.set_transform(None)
    extent = probe.get_window_extent(renderer)
    probe.remove()
    return extent.width, extent.height


def _handles(panels: Sequence[Panel]) -> list[Line2D]:
    """What the legend explains: only what is drawn."""
    from matplotlib.lines import Line2D

    def entry(label: str, color: str, marker: str = "none", line: Any = "none", **more: Any) -> Line2D:
        style = {"markersize": 6, "markeredgewidth": 1.3, **more}
        return Line2D([], [], label=label, color=color, marker=marker, linestyle=line, **style)

    hollow = {"markerfacecolor": "none"}
    marks = [mark for panel in panels for mark in panel.marks]
    arrows = {mark.arrow for mark in marks if mark.arrow}
    kinds = {mark.kind for mark in marks if not mark.arrow}
    handles = [
        entry(
            text,
            color,
            marker,
            alpha=alpha,
            markersize=size**0.5,
            markeredgewidth=1.9 if marker == "x" else 0,
        )
        for kind, (marker, size, color, alpha, text) in _STYLES.items()
        if kind in kinds
    ]
    if arrows:
        side = _ARROWS["above" if "above" in arrows else min(arrows)]
        handles.append(
            entry(
                f"beyond the axes{': number and value' if any(map(_listed, panels)) else ''}",
                palette.DOMINATED,
                side,
                **hollow,
            )
        )
    if any(mark.knee for mark in marks):
        handles.append(entry("best balance", palette.KNEE, "o", markersize=10, markeredgewidth=1.9, **hollow))
    if any(mark.tied for mark in marks):
        handles.append(
            entry("a tie with another point of the front", palette.FRONT, "o", markerfacecolor="white",
                  markersize=6, markeredgewidth=2.2)
        )  # fmt: skip
    if any(mark.seeds for mark in marks):
        handles.append(entry("95 % interval over seeds", palette.FRONT, "|", markersize=12))
    if any(panel.published for panel in panels):
        handles.append(
            entry("published by AERO\n(at the edge: cost alone)", palette.PUBLISHED, "D", **hollow)
        )
    if any(panel.baseline[0] is not None for panel in panels):
        handles.append(
            entry("baseline SM + LN + G", palette.BASELINE, "*", (0, (2, 2.5)), linewidth=1.1, markersize=13,
                  markeredgewidth=0)
        )  # fmt: skip
    if any(panel.step for panel in panels):
        handles.append(entry(step_text(panels), palette.FRONT, line="-", linewidth=1.6, alpha=0.75))
    return handles


def step_text(panels: Sequence[Panel], break_line: str = "\n") -> str:
    """What the step is, and where points of the front lie above it, why."""
    why = f";{break_line}a front point above it saves another cost"
    return f"lowest perplexity at each cost of the panel{why if any(p.above_step for p in panels) else ''}"


def _lines(handles: Sequence[Line2D]) -> int:
    """Lines that a legend of two columns takes."""
    heights = [str(handle.get_label()).count("\n") + 1 for handle in handles]
    half = -(-len(heights) // 2)
    return max(sum(heights[:half]), sum(heights[half:]), 1)


def _legend(
    figure: Figure,
    handles: list[Line2D],
    loc: Literal["center left", "lower center"],
    x: float,
    y: float,
    columns: int,
) -> None:
    figure.legend(
        handles=handles, loc=loc, ncols=columns, frameon=False, fontsize=_TEXT, labelcolor=palette.INK,
        handletextpad=0.6, columnspacing=2.0, bbox_to_anchor=(x, y),
    )  # fmt: skip


def baseline_lines(panel: Panel) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Ends of the baseline's lines: its cost, and its perplexity where one is trained."""
    cost, perplexity = panel.baseline
    lines = []
    if cost is not None:
        lines.append(((cost, panel.y.low), (cost, panel.band or panel.y.high)))
    if perplexity is not None:
        lines.append(((panel.x.low, perplexity), (panel.x.high, perplexity)))
    return lines


def band_edge(panel: Panel) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The lower edge of the band: names of outliers stay above it, those of the front below."""
    return [] if panel.band is None else [((panel.x.low, panel.band), (panel.x.high, panel.band))]


def significant_tick(value: float) -> str:
    """A tick's number without zeros that say nothing: `0.5`, `80`, `1,000`."""
    text = significant(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _pair(values: Any) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _around(point: tuple[float, float], radius: float) -> Box:
    return Box(point[0] - radius, point[1] - radius, 2 * radius, 2 * radius)
