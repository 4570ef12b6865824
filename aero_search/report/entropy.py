"""Pictures of a ladder's attention entropies and of its training: heads, layers and perplexity, by variant.

Every picture is written as PNG and SVG, whole or not at all, and is the same bytes for the same rows. Colours are
told apart by every common kind of colour vision; lines differ in mark and dash as well.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aero_search.report import palette
from aero_search.report.axis import Axis, round_ticks
from aero_search.report.lines import Frame, Line, draw_lines, grid_columns, longest_by_row, name_lines
from aero_search.report.picture import FONT, heading, new_figure, write_picture
from aero_search.training.entropy_health import Entropy, layer_mean, quarter_shares
from aero_search.training.result import CurvePoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A run on its way to NaN would squash the rest: what is higher than the unigram perplexity by this factor, or where
# that is not given than the lowest perplexity by that one, lies beyond the upper edge.
OVER_UNIGRAM, OVER_LOWEST = 1.1, 10.0
# Blue to yellow, made to look alike with and without colour vision deficiency.
_COLOURS = "cividis"
# Inches: one heatmap, what lies around it, and the colour bar with its numbers.
_SIDE, _ACROSS, _BELOW, _NAME_LINE, _BAR = 1.3, 0.42, 0.34, 0.135, 1.25
_HEAD, _FOOT, _LEFT = 0.8, 0.4, 0.62


def plot_entropy_heatmaps(
    rows: Sequence[tuple[str, Entropy]], path_stem: Path, largest: float
) -> dict[str, Path]:
    """One small heatmap a variant, layer by head, with one colour scale for all.

    Args:
        rows: label and mean attention entropy in nats, n_layer x n_head; a variant that was never measured has
            no layers, and a head without a number is white. Sizes may differ between variants.
        path_stem: path and name without suffix.
        largest: the entropy in nats at the upper end of the scale, above 0; quarters are counted of it.

    Returns:
        Path by suffix: `png`, `svg`.

    Raises:
        OSError: the folder cannot be written.
    """
    return write_picture(draw_heatmaps(rows, largest), path_stem)


def plot_entropy_by_layer(
    rows: Sequence[tuple[str, Entropy]], path_stem: Path, largest: float
) -> dict[str, Path]:
    """Mean entropy of each layer's heads over depth, one line a variant; arguments as for the heatmaps."""
    lines = [Line(label, tuple(range(len(layers))), tuple(map(layer_mean, layers))) for label, layers in rows]
    deepest = max([len(layers) for _, layers in rows] + [2]) - 1
    ticks = tuple(tick for tick in round_ticks(0, deepest, min(deepest, 6)) if tick == int(tick))
    quarters = tuple(largest * quarter / 4 for quarter in range(5))
    frame = Frame(
        x=Axis(-0.03 * deepest, 1.03 * deepest, False, ticks),
        y=Axis(-0.02 * largest, 1.02 * largest, False, quarters),
        x_name="layer",
        y_name="mean attention entropy (nats)",
        shaded=(0.75 * largest, largest),
    )
    subtitle = f"mean over heads · grid: quarters of {largest:.2f} nats, the top one shaded"
    return write_picture(draw_lines(lines, frame, "Attention entropy by layer", subtitle), path_stem)


def plot_perplexity_curves(
    rows: Sequence[tuple[str, Sequence[CurvePoint]]],
    path_stem: Path,
    diverged: Collection[str] = (),
    unigram: float | None = None,
) -> dict[str, Path]:
    """Validation perplexity over training, one line a variant.

    Args:
        rows: label and curve.
        path_stem: path and name without suffix.
        diverged: labels of the runs that diverged; their lines end in an x.
        unigram: the perplexity of token frequencies alone, drawn as a dashed line.

    Returns:
        Path by suffix: `png`, `svg`.

    Raises:
        OSError: the folder cannot be written.
    """
    lines = [
        Line(
            label,
            tuple(point.step for point in curve),
            tuple(point.perplexity for point in curve),
            label in diverged,
        )
        for label, curve in rows
    ]
    known = [y for line in lines for y in line.ys if math.isfinite(y)] + ([unigram] if unigram else [])
    top = OVER_UNIGRAM * unigram if unigram else OVER_LOWEST * min(known, default=1.0)
    y = _log_axis([min(value, top) for value in known] or [1.0, 1000.0])
    steps = max([x for line in lines for x in line.xs] + [1])
    x = Axis(0, 1.02 * steps, False, round_ticks(0, 1.02 * steps, 5))
    rule = (unigram, "unigram") if unigram and unigram <= y.high else None
    frame = Frame(x, y, "step", "perplexity (held out)", rule)
    ended = sum(line.diverged for line in lines)
    subtitle = f"{len(lines)} variant{'' if len(lines) == 1 else 's'}"
    subtitle += f", {ended} diverged (x)" if ended else ""
    return write_picture(draw_lines(lines, frame, "Perplexity over training", subtitle), path_stem)


def draw_heatmaps(rows: Sequence[tuple[str, Entropy]], largest: float) -> Figure:
    """The figure of `plot_entropy_heatmaps`."""
    columns = grid_columns(len(rows))
    names = [name_lines(label, 24) for label, _ in rows]
    # Below the name stands what the quarters say.
    above = [0.12 + _NAME_LINE * (1 + longest) for longest in longest_by_row(names, columns)]
    # The title needs its room above a single heatmap too.
    body = max(columns * (_SIDE + _ACROSS), 2.75)
    width = _LEFT + body + _BAR
    height = _HEAD + sum(above) + max(1, len(above)) * (_SIDE + _BELOW) + _FOOT
    figure = new_figure(width, height)
    count = f"{len(rows)} variant{'' if len(rows) == 1 else 's'}"
    heading(figure, "Attention entropy by layer and head", f"{count} · layer 0 on top", _LEFT)
    for i, (_, layers) in enumerate(rows):
        row, column = divmod(i, columns)
        left = _LEFT + column * (_SIDE + _ACROSS)
        bottom = height - _HEAD - sum(above[: row + 1]) - row * (_SIDE + _BELOW) - _SIDE
        axes = figure.add_axes((left / width, bottom / height, _SIDE / width, _SIDE / height))
        _heatmap(axes, layers, largest)
        name = "\n".join(names[i])
        spread = _spread(layers, largest)
        axes.text(0, 1 + 0.06 / _SIDE, spread, transform=axes.transAxes, size=6.8, va="bottom",
                  color=palette.MUTED, family=FONT)  # fmt: skip
        axes.text(0, 1 + (0.08 + _NAME_LINE) / _SIDE, name, transform=axes.transAxes, size=7.4, va="bottom",
                  color=palette.INK, family=FONT, linespacing=1.1)  # fmt: skip
        if not column:
            axes.set_ylabel("layer", size=8, color=palette.INK, family=FONT, labelpad=3)
        if i + columns >= len(rows):
            axes.set_xlabel("head", size=8, color=palette.INK, family=FONT, labelpad=2)
    tall = min(height - _HEAD - _FOOT - 0.3, 4.0)
    bar = figure.add_axes(
        ((_LEFT + body + 0.1) / width, (height - _HEAD - 0.3 - tall) / height, 0.16 / width, tall / height)
    )
    _colour_bar(figure, bar, largest)
    return figure


def _heatmap(axes: Axes, layers: Entropy, largest: float) -> None:
    for side in axes.spines.values():
        side.set_color(palette.FRAME)
    axes.tick_params(colors=palette.MUTED, labelsize=6.8, labelfontfamily=FONT[0], length=0, pad=2)
    heads = max(map(len, layers), default=0)
    if not heads:
        axes.set_facecolor(palette.BAND)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0.5, 0.5, "nothing measured", transform=axes.transAxes, size=7.5, ha="center", va="center",
                  color=palette.MUTED, family=FONT)  # fmt: skip
        return
    square = [[*row, *[math.nan] * (heads - len(row))] for row in layers]
    axes.imshow(square, cmap=_COLOURS, vmin=0, vmax=largest, aspect="auto", interpolation="none")
    axes.set_yticks(_ends(len(layers)))
    axes.set_xticks(_ends(heads))


def _colour_bar(figure: Figure, axes: Axes, largest: float) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    bar = figure.colorbar(ScalarMappable(Normalize(0, largest), _COLOURS), cax=axes)
    quarters = ("0", "¼", "½", "¾", "largest")
    bar.set_ticks(
        [largest * i / 4 for i in range(5)],
        labels=[f"{largest * i / 4:.2f}  {name}" if i else "0" for i, name in enumerate(quarters)],
    )
    bar.outline.set_visible(False)
    axes.tick_params(colors=palette.MUTED, labelsize=8, labelfontfamily=FONT[0], length=0, pad=4)
    axes.set_title("nats", size=9, color=palette.INK, family=FONT, loc="left", pad=6)


def _spread(layers: Entropy, largest: float) -> str:
    """What the quarters say: middle two, and top."""
    if not any(layers):
        return ""
    _, second, third, top = quarter_shares(layers, largest)
    return f"middle {second + third:.0%} · top {top:.0%}"


def _log_axis(values: Sequence[float]) -> Axis:
    """An axis around perplexities on which equal distances are equal factors, as their losses are."""
    low, high = 0.94 * min(values), 1.06 * max(values)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 1.5, 2, 3, 4, 5, 7)]
    if high / low > 40:
        ticks = [factor * 10.0**power for power in powers for factor in (1, 3)]
    inside = tuple(tick for tick in ticks if low <= tick <= high)
    return Axis(low, high, True, inside if len(inside) > 2 else round_ticks(low, high))


def _ends(count: int) -> list[int]:
    return sorted({0, count - 1})
