"""What the picture of a front shows, free of any drawing library: panels, marks, ranges, ticks.

Perplexity (y) is drawn against each cost (x). The axes reach around the front and the baseline, so that what one
chooses from fills the panel. Other candidates that lie beyond are drawn at the border, with their number and value.
Above the panel is a band for whatever is higher: outliers, and candidates without a sound perplexity (diverged,
stopped, or still on the unigram plateau).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aero_search.report.axis import BAND, Axis, axis_around
from aero_search.report.published import PublishedMark, published_marks
from aero_search.report.units import Scale, compact, quality_name, scale, significant

if TYPE_CHECKING:
    from aero_search.front.front import Front
    from aero_search.front.front_membership import FrontMembership
    from aero_search.front.record import Record

Kind = Literal["front", "dominated", "plateau", "stopped", "diverged"]
Side = Literal["", "above", "below", "left", "right"]
# Where in the band, as shares of its height from above, and which states lie there.
_OUTSIDE: Mapping[str, tuple[Kind, float]] = {
    "diverged": ("diverged", 0.2),
    "stopped": ("stopped", 0.4),
    "plateau": ("plateau", 0.6),
}
_ABOVE = 0.8
_SIDES: Mapping[int, Side] = {-1: "left", 0: "", 1: "right"}
# What people compare first; drawn whether or not a study keeps them small.
_ALWAYS = ("latency_s", "communication_bytes", "flops")
# Fronts crowd where costs are low; labels find their room to the left of the cheapest.
LEFT = 0.2


@dataclass(frozen=True)
class Mark:
    """One candidate in one panel; x in the axis' unit, y a quality, lower is better, or a height in the band.

    Attributes:
        seeds: what the seeds it was trained with say; None with one seed alone, and beyond the axes.
        bar: the ends of their interval, heights.
        beyond: the border at which it is drawn where an axis does not reach it; the band's own marks have none.
        outlier: its values that the axes do not reach, as `93.4` or `93.4, 15.2 s`; empty for other marks.
        tied: on the front, and a tie with another point of it.
    """

    record: Record
    kind: Kind
    x: float
    y: float
    on_front: bool
    knee: bool = False
    seeds: FrontMembership | None = None
    bar: tuple[float, float] | None = None
    beyond: Side = ""
    outlier: str = ""
    tied: bool = False

    @property
    def label(self) -> str:
        """Notation, with what it says in brackets on a line of its own."""
        return compact(self.record.notation).replace(" [", "\n[")

    @property
    def short_label(self) -> str:
        return f"#{self.record.number}"

    @property
    def arrow(self) -> Side:
        """The border that an arrow in the candidate's place points to; what the band is for keeps its own mark."""
        return self.beyond if self.kind in ("front", "dominated") else ""

    @property
    def names(self) -> tuple[str, ...]:
        """What may be written beside it, the preferred one first; empty where nothing is."""
        if self.outlier:
            return f"{self.short_label}  {self.outlier}", self.short_label
        return (self.label, self.short_label) if self.on_front else ()


@dataclass(frozen=True)
class Panel:
    """Perplexity against one cost.

    Attributes:
        marks: faint ones first, so that the front is drawn on top.
        step: corners of the line through the points that are non-dominated in this pair, left to right, as far as
            the axes show them.
        baseline: cost of SM + LN + G where it is known, and its perplexity where one is trained.
        band: where the band begins on y; None where nothing lies in it.
        x_name, y_name: headings of the axes; they say whose figures these are where that differs.
        published: rows of AERO's tables at the size that is priced; empty at other sizes.
    """

    metric: str
    scale: Scale
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    step: tuple[tuple[float, float], ...]
    baseline: tuple[float | None, float | None]
    band: float | None
    x_name: str
    y_name: str
    quality: str
    published: tuple[PublishedMark, ...] = ()

    @property
    def above_step(self) -> bool:
        """Whether a point of the front is dominated in this pair: another cost keeps it on the front."""
        return any(
            mark.on_front and not mark.beyond and mark.kind == "front" and (mark.x, mark.y) not in self.step
            for mark in self.marks
        )


def panels(front: Front) -> tuple[Panel, ...]:
    """One panel a cost: the objective's in its order, then latency, bytes and FLOPs where it lacks them.

    An empty study has empty panels, one a cost of the objective.
    """
    known = {metric for record in _drawn(front) for metric in record.costs}
    more = [m for m in _ALWAYS if m not in front.objective.costs and m in known]
    return tuple(_panel(front, metric) for metric in (*front.objective.costs, *more))


def _drawn(front: Front) -> list[Record]:
    return [*front.points, *front.dominated, *front.stopped, *front.diverged]


def _panel(front: Front, metric: str) -> Panel:
    drawn = _drawn(front)
    trained = [r for r in drawn if r.compared is not None]
    sound = [record for record in trained if record.state not in _OUTSIDE] or trained
    outside = [r for r in drawn if not any(r is other for other in sound)]
    baseline = _baseline(front, metric)
    costs = [*([] if baseline is None else [baseline]), *(r.costs[metric] for r in front.points or drawn)]
    unit = scale(metric, costs)
    x = axis_around([unit.value(v) for v in costs], left=LEFT)
    heights = _heights(front, sound)
    inner = axis_around(heights)
    banded = bool(outside) or any(inner.beyond(front.height(record)) > 0 for record in sound)
    y = axis_around(heights, band=banded)
    band = y.at(1 - BAND) if banded else None
    marks = [
        _mark(front, record, metric, unit, x, y, inner, any(record is other for other in outside))
        for record in sorted(drawn, key=lambda r: r in front.points)
    ]
    whose = "" if front.target is None else f" of {front.target.name}"
    return Panel(
        metric=metric,
        scale=unit,
        x=x,
        y=y,
        marks=tuple(marks),
        step=_step([(unit.value(r.costs[metric]), front.height(r)) for r in sound], x, inner.high),
        baseline=(None if baseline is None else unit.value(baseline), front.baseline_height),
        band=band,
        x_name=unit.heading.replace(unit.name, f"{unit.name}{whose}", 1),
        y_name=height_name(front) if front.target is None else f"{height_name(front)} of the proxy",
        quality=front.objective.quality,
        published=published_marks(front, metric, unit, x, y, inner.high),
    )


def _heights(front: Front, sound: list[Record]) -> list[float]:
    """What y reaches around: the front with its intervals, and the baseline."""
    shown = [record for record in front.points if any(record is other for other in sound)] or sound
    heights = [front.height(record) for record in shown]
    for record in shown:
        if (bar := front.memberships.get(record.number)) is not None:
            heights += front.bar(bar)
    if front.baseline_height is not None:
        heights.append(front.baseline_height)
    worst = front.worst_height
    return heights or [worst / 10, worst]


def _mark(
    front: Front, record: Record, metric: str, unit: Scale, x: Axis, y: Axis, inner: Axis, outside: bool
) -> Mark:
    """One candidate where the axes have it, or at the border.

    Args:
        y: with the band.
        inner: the same axis without it.
        outside: whether it has no sound perplexity.
    """
    on_front = record in front.points
    cost = unit.value(record.costs[metric])
    kind: Kind = "front" if on_front else "dominated"
    beyond = _SIDES[x.beyond(cost)]
    outlier = [unit.with_unit(record.costs[metric])] if beyond else []
    if outside:
        kind, depth = _OUTSIDE[record.state]
        height = y.at(1 - BAND * depth)
        if kind == "plateau":
            outlier.insert(0, significant(front.height(record)))
    else:
        height = reached = front.height(record)
        if inner.beyond(reached):
            above = reached > inner.high
            beyond = "above" if above else "below"
            height = y.at(1 - BAND * _ABOVE) if above else y.held(reached)
            outlier.insert(0, significant(reached))
    seeds = None if outside or beyond else front.memberships.get(record.number)
    return Mark(
        record,
        kind,
        x.held(cost),
        height,
        on_front=on_front,
        knee=record is front.balance,
        seeds=seeds,
        bar=_clipped(front.bar(seeds), y.low, inner.high) if seeds else None,
        beyond=beyond,
        outlier=", ".join(outlier),
        tied=record.number in front.ties,
    )


def _clipped(bar: tuple[float, float], low: float, high: float) -> tuple[float, float]:
    """An interval as far as the axis reaches below its band: that of a near rival may be longer."""
    return max(bar[0], low), min(bar[1], high)


def _baseline(front: Front, metric: str) -> float | None:
    """The baseline's cost: the reference's, or that of a trained one; None where neither tells it."""
    if metric in front.baseline:
        return front.baseline[metric]
    return next((r.costs[metric] for r in _drawn(front) if front.is_baseline(r)), None)


def _step(points: Iterable[tuple[float, float]], x: Axis, top: float) -> tuple[tuple[float, float], ...]:
    """The edge of the dominated region, from the top of the panel to its right side.

    A point above the top or right of the panel moves no part of the edge that is seen.
    """
    best: list[tuple[float, float]] = []
    for point in sorted(p for p in points if p[0] <= x.high and p[1] <= top):
        if not best or point[1] < best[-1][1]:
            best.append(point)
    if not best:
        return ()
    corners = [(best[0][0], top)]
    for (cost, height), (following, _) in zip(best, [*best[1:], (x.high, 0.0)], strict=True):
        corners += [(cost, height), (following, height)]
    return tuple(corners)


def height_name(front: Front) -> str:
    """What y is: the quality, or where that is maximized what is missing from it, so that lower is better."""
    name = quality_name(front.objective.quality)
    return f"1 - {name}" if front.reference.scale.maximized else name
