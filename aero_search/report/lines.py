"""Lines that are told apart, one a variant: together in one panel while they are few, one panel each when many."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aero_search.report import palette
from aero_search.report.axis import Axis
from aero_search.report.picture import FONT, heading, new_figure, style_axes
from aero_search.report.static import significant_tick
from aero_search.report.units import compact

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# More lines than this in one panel cannot be followed: each gets a panel, with the others faint behind it.
TOGETHER = 10
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_STYLES: tuple[Any, ...] = ("-", (0, (4, 1.5)))
# Inches. Of the panel that holds all lines, and of the column that names them.
_WIDTH, _HEIGHT, _NAMES = 6.6, 4.4, 2.75
# Inches. Of a panel of its own, of the gaps around it, and of a line of its name.
_OWN_WIDTH, _OWN_HEIGHT, _GAP, _UNDER, _NAME_LINE = 1.75, 1.25, 0.42, 0.32, 0.135
_HEAD, _FOOT, _LEFT = 0.8, 0.62, 0.78


@dataclass(frozen=True)
class Line:
    """One variant; a y that is no number leaves a gap, and `diverged` ends the line in an x."""

    label: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    diverged: bool = False


@dataclass(frozen=True)
class Frame:
    """What all lines are drawn on.

    Attributes:
        rule: a height that is drawn across as a dashed line, with its name.
        shaded: a range of heights that is set off.
    """

    x: Axis
    y: Axis
    x_name: str
    y_name: str
    rule: tuple[float, str] | None = None
    shaded: tuple[float, float] | None = None


def draw_lines(lines: Sequence[Line], frame: Frame, title: str, subtitle: str) -> Figure:
    """Draw every line on one figure, named in the order given."""
    if len(lines) > TOGETHER:
        return _apart(lines, frame, title, subtitle)
    return _together(lines, frame, title, subtitle)


def _together(lines: Sequence[Line], frame: Frame, title: str, subtitle: str) -> Figure:
    width, height = _LEFT + _WIDTH + _NAMES, _HEAD + _HEIGHT + _FOOT
    figure = new_figure(width, height)
    heading(figure, title, subtitle, _LEFT)
    axes = figure.add_axes((_LEFT / width, _FOOT / height, _WIDTH / width, _HEIGHT / height))
    _prepare(axes, frame, labels=9)
    axes.set_xlabel(frame.x_name, color=palette.INK, size=10, labelpad=6, family=FONT)
    axes.set_ylabel(frame.y_name, color=palette.INK, size=10, labelpad=6, family=FONT)
    if frame.rule:
        height_of, text = frame.rule
        axes.text(
            frame.x.high,
            height_of,
            f"{text} ",
            size=8,
            color=palette.MUTED,
            ha="right",
            va="bottom",
            family=FONT,
        )
    for i, line in enumerate(lines):
        _draw(axes, line, frame, i, palette.SERIES[i % len(palette.SERIES)], 1.7)
    if lines:
        axes.legend(
            loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0, frameon=False, labelspacing=0.75,
            prop={"family": FONT, "size": 8.3}, labelcolor=palette.INK, handlelength=2.6,
        )  # fmt: skip
    return figure


def _apart(lines: Sequence[Line], frame: Frame, title: str, subtitle: str) -> Figure:
    from matplotlib.collections import LineCollection

    columns = grid_columns(len(lines))
    paths = [list(zip(line.xs, line.ys, strict=True)) for line in lines if line.xs]
    rows = -(-len(lines) // columns)
    names = [name_lines(line.label, 27) for line in lines]
    above = [0.1 + _NAME_LINE * longest for longest in longest_by_row(names, columns)]
    width = _LEFT + columns * (_OWN_WIDTH + _GAP)
    height = _HEAD + sum(above) + rows * (_OWN_HEIGHT + _UNDER) + _FOOT - _UNDER
    figure = new_figure(width, height)
    heading(figure, title, subtitle, _LEFT)
    for i, line in enumerate(lines):
        row, column = divmod(i, columns)
        left = _LEFT + column * (_OWN_WIDTH + _GAP)
        bottom = height - _HEAD - sum(above[: row + 1]) - row * (_OWN_HEIGHT + _UNDER) - _OWN_HEIGHT
        axes = figure.add_axes((left / width, bottom / height, _OWN_WIDTH / width, _OWN_HEIGHT / height))
        _prepare(axes, frame, labels=6.8)
        # One collection for all: as many lines in as many panels are slow to draw one by one.
        others = LineCollection(paths, colors=palette.FAINT, linewidths=0.7, zorder=1.5)
        axes.add_collection(others, autolim=False)
        _draw(axes, line, frame, 0, palette.SERIES[0], 1.5)
        if not any(map(math.isfinite, line.ys)):
            axes.text(
                0.5, 0.5, "nothing measured", transform=axes.transAxes, ha="center", va="center", size=7.5,
                color=palette.MUTED, family=FONT, bbox={"facecolor": "white", "linewidth": 0, "pad": 2}, zorder=5,
            )  # fmt: skip
        axes.text(
            0, 1 + 0.06 / _OWN_HEIGHT, "\n".join(names[i]), transform=axes.transAxes, ha="left", va="bottom",
            size=7.4, color=palette.INK, family=FONT, linespacing=1.1,
        )  # fmt: skip
        if column:
            axes.tick_params(labelleft=False)
        if i + columns < len(lines):
            axes.tick_params(labelbottom=False)
    foot: dict[str, Any] = {"size": 9, "color": palette.INK, "family": FONT}
    figure.text((_LEFT + (width - _LEFT) / 2) / width, 0.16 / height, frame.x_name, ha="center", **foot)
    figure.text(0.2 / width, (_FOOT + (height - _FOOT - _HEAD) / 2) / height, frame.y_name, va="center",
                rotation=90, **foot)  # fmt: skip
    return figure


def _prepare(axes: Axes, frame: Frame, labels: float) -> None:
    x, y = frame.x, frame.y
    if x.log:
        axes.set_xscale("log")
    if y.log:
        axes.set_yscale("log")
    axes.set_xlim(x.low, x.high)
    axes.set_ylim(y.low, y.high)
    axes.set_xticks(x.ticks, [significant_tick(tick) for tick in x.ticks])
    axes.set_yticks(y.ticks, [significant_tick(tick) for tick in y.ticks])
    style_axes(axes, labels)
    if frame.shaded:
        axes.axhspan(*frame.shaded, color=palette.BAND, linewidth=0, zorder=0.6)
    if frame.rule:
        axes.axhline(frame.rule[0], color=palette.MUTED, linewidth=1.0, linestyle=(0, (2, 2.5)), zorder=1)


def _draw(axes: Axes, line: Line, frame: Frame, i: int, color: str, width: float) -> None:
    """Draw one line; its marks are few, so that they tell lines apart without hiding them."""
    axes.plot(
        line.xs, line.ys, color=color, linewidth=width, linestyle=_STYLES[i // len(palette.SERIES)],
        marker=_MARKERS[i % len(_MARKERS)], markersize=4.2, markeredgecolor="white", markeredgewidth=0.5,
        markevery=max(1, len(line.xs) // 8), zorder=3,
        label="\n".join(name_lines(line.label + (" (diverged)" if line.diverged else ""), 33)),
    )  # fmt: skip
    if line.diverged:
        # Beyond the frame the mark sits on its edge; a run without any validation ends where it began.
        last = [(x, y) for x, y in zip(line.xs, line.ys, strict=True) if math.isfinite(y)][-1:]
        x, y = last[0] if last else (frame.x.low, frame.y.high)
        axes.scatter(
            [x],
            [min(y, frame.y.high)],
            marker="x",
            s=58,
            color=color,
            linewidths=2.2,
            zorder=6,
            clip_on=False,
        )


def grid_columns(count: int) -> int:
    """Columns of a grid of `count` small panels: half as many again as rows, at most 8."""
    return max(1, min(count, 8, math.ceil(math.sqrt(1.5 * count))))


def name_lines(label: str, width: int) -> list[str]:
    """A label in lines of at most `width` characters, at most four; what does not fit ends in an ellipsis.

    What stands in brackets begins a line of its own, and its fields go without their group.
    """
    parts = compact(label).replace(" [", "\n[").splitlines()
    lines = [line for part in parts for line in textwrap.wrap(part, width, break_on_hyphens=False)] or [""]
    return lines if len(lines) <= 4 else [*lines[:3], lines[3][: width - 2] + " …"]


def longest_by_row(names: Sequence[Sequence[str]], columns: int) -> list[int]:
    """The most lines that a name takes in each row of a grid."""
    return [max(map(len, names[i : i + columns])) for i in range(0, len(names), columns)]
