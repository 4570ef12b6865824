"""The pictures of a front: PNG, SVG, and a figure for notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aero_search.report.chart import panels
from aero_search.report.picture import write_picture
from aero_search.report.units import quality_name

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from aero_search.front.front import Front

TITLE = "Perplexity against the cost of private inference"


def plot_front(front: Front, folder: Path, title: str = TITLE) -> dict[str, Path]:
    """Draw perplexity against every cost of the objective, one panel a cost.

    Each file appears whole or not at all, so a reader may look while a search rewrites them.

    Args:
        folder: made if missing; gets front.png and front.svg.

    Returns:
        Path by suffix: `png`, `svg`.

    Raises:
        OSError: the folder cannot be written.
    """
    from aero_search.report.static import draw

    return write_picture(draw(panels(front), title, _subtitle(front)), folder / "front")


def figure_of(front: Front, title: str = TITLE) -> Figure:
    """The same panels as an interactive figure, which shows itself in a notebook."""
    from aero_search.report.figure import make_figure

    return make_figure(panels(front), title, _subtitle(front))


def _subtitle(front: Front) -> str:
    kinds = (front.points, front.dominated, front.diverged, front.over, front.stopped)
    trained = sum(map(len, kinds))
    counted = f"{trained} candidate{'' if trained == 1 else 's'} trained, {len(front.points)} on the front"
    priced = (
        f" · costs of {front.target.name}, {quality_name(front.objective.quality)} of the proxy"
        if front.target
        else ""
    )
    return f"{counted} · hypervolume {front.hypervolume:.4f}{priced}"
