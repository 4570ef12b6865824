"""Writes the pictures of a front: PNG, SVG and a page that works offline."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aero_search.report.chart import panels

if TYPE_CHECKING:
    from aero_search.search.front import Front

TITLE = "Perplexity against the cost of private inference"


def plot_front(front: Front, folder: Path, title: str = TITLE, page: bool = True) -> dict[str, Path]:
    """Draw perplexity against every cost of the objective, one panel a cost.

    Each file appears whole or not at all, so a reader may look while a search rewrites them.

    Args:
        folder: made if missing; gets front.png, front.svg and front.html.
        page: also write front.html, some 5 MB with plotly inside.

    Returns:
        Path by suffix: `png`, `svg`, `html`.

    Raises:
        OSError: the folder cannot be written.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    from aero_search.report.static import DPI, draw

    folder.mkdir(parents=True, exist_ok=True)
    drawn, subtitle = panels(front), _subtitle(front)
    figure = draw(drawn, title, subtitle)
    svg: Any = FigureCanvasSVG(figure)
    written = {
        "png": _whole(folder / "front.png", lambda path: figure.savefig(path, dpi=DPI, format="png")),
        # Without a date, the same front gives the same file.
        "svg": _whole(
            folder / "front.svg",
            lambda path: svg.print_svg(path, metadata={"Date": None}),
        ),
    }
    if page:
        from aero_search.report import interactive

        html = interactive.page(drawn, title, subtitle)
        written["html"] = _whole(folder / "front.html", lambda path: path.write_text(html, encoding="utf-8"))
    return written


def _subtitle(front: Front) -> str:
    trained = len(front.points) + len(front.dominated) + len(front.diverged) + len(front.over)
    counted = f"{trained} candidate{'' if trained == 1 else 's'} trained, {len(front.points)} on the front"
    priced = f" · costs of {front.target.name}, perplexity of the proxy" if front.target else ""
    return f"{counted} · hypervolume {front.hypervolume:.4f}{priced}"


def _whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Write beside `path` under a name of this process, then rename."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        return partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
