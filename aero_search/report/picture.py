"""What all still pictures share: font, frame, heading, and files that appear whole and are the same each time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aero_search.fail_points import passes
from aero_search.report import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 160
FONT = ["DejaVu Sans"]


def new_figure(width: float, height: float) -> Figure:
    """A white figure of so many inches with a canvas of its own, outside pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def heading(figure: Figure, title: str, subtitle: str, left: float) -> None:
    """Title and subtitle, `left` inches from the left edge; they take the top 0.72 inches."""
    width, height = figure.get_size_inches()
    place: dict[str, Any] = {"x": left / width, "va": "center", "family": FONT}
    figure.text(y=1 - 0.3 / height, s=title, size=13, weight="bold", color=palette.INK, **place)
    figure.text(y=1 - 0.56 / height, s=subtitle, size=9, color=palette.MUTED, **place)


def style_axes(axes: Axes, labels: float = 9) -> None:
    """No box, faint lines, muted numbers of `labels` points."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(palette.FRAME)
    axes.minorticks_off()
    axes.tick_params(colors=palette.MUTED, labelsize=labels, labelfontfamily=FONT[0], length=0, pad=5)
    axes.grid(color=palette.GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def write_picture(figure: Figure, path_stem: Path) -> dict[str, Path]:
    """Write a figure as PNG and SVG; the same figure gives the same bytes.

    Args:
        path_stem: path and name without the suffix; the folder is made if missing.

    Returns:
        Path by suffix: `png`, `svg`.

    Raises:
        OSError: the folder cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    path_stem.parent.mkdir(parents=True, exist_ok=True)
    # A name may hold dots, so with_suffix would cut it.
    png, svg = (path_stem.with_name(f"{path_stem.name}.{suffix}") for suffix in ("png", "svg"))
    canvas: Any = FigureCanvasSVG(figure)
    # Without a date and with a fixed salt for the names inside, an SVG follows from what it shows alone.
    with rc_context({"svg.hashsalt": "aero-search"}):
        return {
            "png": whole(png, lambda path: figure.savefig(path, dpi=DPI, format="png")),
            "svg": whole(svg, lambda path: canvas.print_svg(path, metadata={"Date": None})),
        }


def whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Write beside `path` under a name of this thread, then rename: a reader sees the old file or the new."""
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        write(partial)
        partial.replace(path)
        passes(f"{path.name} written")
        return path
    finally:
        partial.unlink(missing_ok=True)
