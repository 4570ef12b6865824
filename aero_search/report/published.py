"""AERO's published rows as reference marks, where a study prices the very sizes that its tables are about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aero_search.cost import PublishedRow, published_rows
from aero_search.front.quality import PERPLEXITY
from aero_search.report.axis import Axis
from aero_search.report.units import Scale

if TYPE_CHECKING:
    from aero_search.front.front import Front

# Beyond this ratio to the front's own, a perplexity is of another corpus or tokenizer: the cost alone is shown.
_COMPARABLE = 2.0
# Heads and width of every published row.
_N_HEAD, _D_MODEL = 12, 768


@dataclass(frozen=True)
class PublishedMark:
    """One published row in one panel.

    Attributes:
        x: its cost, in the axis' unit.
        y: its perplexity; None where only the cost compares, which is then marked at the lower edge.
    """

    row: PublishedRow
    x: float
    y: float | None

    @property
    def label(self) -> str:
        return f"AERO: {self.row.variant.replace('+', ' + ')}"


def published_marks(
    front: Front, metric: str, unit: Scale, x: Axis, y: Axis, top: float
) -> tuple[PublishedMark, ...]:
    """The rows of the paper's tables at the size that costs belong to, as far as the axes reach.

    FLOPs have none: the paper counts them by another convention. Perplexities compare only where what was trained
    has the published size too, and then only near the front's own.
    """
    marks = []
    for row in rows_at(front):
        cost = {"latency_s": 60 * row.latency_min, "communication_bytes": 1e9 * row.comm_gb}.get(metric)
        if cost is None or not x.low <= unit.value(cost) <= x.high:
            continue
        height = row.perplexity if front.target is None and _near(front, row) else None
        inside = height is not None and y.low < height < top
        marks.append(PublishedMark(row, unit.value(cost), height if inside else None))
    return tuple(marks)


def rows_at(front: Front) -> list[PublishedRow]:
    """The published rows of the size that a front's costs belong to; none for most sizes."""
    if front.target is not None:
        sizes = {(*_size(front.target.n_layer, front.target), front.target.family)}
    else:
        records = (*front.points, *front.dominated, *front.diverged)
        sizes = {(*_size(r.architecture.n_layer, r.architecture), r.architecture.family) for r in records}
    return [
        row
        for row in published_rows()
        if (row.n_layer, _N_HEAD, _D_MODEL, row.seq_len, row.vocab, "gpt2") in sizes
    ]


def _size(n_layer: int, of: object) -> tuple[object, ...]:
    return (n_layer, *(getattr(of, name) for name in ("n_head", "d_model", "seq_len", "vocab_size")))


def _near(front: Front, row: PublishedRow) -> bool:
    if front.objective.quality != PERPLEXITY:
        return False
    best = min((r.perplexity for r in front.points if r.perplexity is not None), default=None)
    if best is None or row.perplexity is None:
        return False
    return 1 / _COMPARABLE <= row.perplexity / best <= _COMPARABLE
