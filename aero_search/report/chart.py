"""What the picture of a front shows, free of any drawing library: panels, marks, ranges, ticks.

Perplexity (y) is drawn against each cost (x). Candidates without a sound perplexity (diverged, stopped, or still
on the unigram plateau) lie in a band above the panel: their cost is known, and a height would only squash the
rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aero_search.report.axis import BAND, Axis, axis_around
from aero_search.report.published import PublishedMark, published_marks
from aero_search.report.units import Scale, compact, scale

if TYPE_CHECKING:
    from aero_search.front.front import Front
    from aero_search.front.front_membership import FrontMembership
    from aero_search.front.record import Record

Kind = Literal["front", "dominated", "plateau", "stopped", "diverged"]
# Where in the band, as shares of its height from above, and which states lie there.
_OUTSIDE: Mapping[str, tuple[Kind, float]] = {
    "diverged": ("diverged", 0.25),
    "stopped": ("stopped", 0.5),
    "plateau": ("plateau", 0.75),
}
# What people compare first; drawn whether or not a study keeps them small.
_ALWAYS = ("latency_s", "communication_bytes", "flops")
# Fronts crowd where costs are low; labels find their room to the left of the cheapest.
LEFT = 0.2


@dataclass(frozen=True)
class Mark:
    """One candidate in one panel; x in the axis' unit, y a perplexity or a height in the band.

    Attributes:
        seeds: perplexity over the seeds it was trained with; None with one seed alone, and in the band.
    """

    record: Record
    kind: Kind
    x: float
    y: float
    on_front: bool
    knee: bool = False
    seeds: FrontMembership | None = None

    @property
    def label(self) -> str:
        """Notation, with what it says in brackets on a line of its own."""
        return compact(self.record.notation).replace(" [", "\n[")

    @property
    def short_label(self) -> str:
        return f"#{self.record.number}"


@dataclass(frozen=True)
class Panel:
    """Perplexity against one cost.

    Attributes:
        marks: faint ones first, so that the front is drawn on top.
        step: corners of the line through the points that are non-dominated in this pair, left to right.
        baseline: cost of SM + LN + G where it is known, and its perplexity where one is trained.
        band: where the band begins on y; None where every candidate has a sound perplexity.
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
    published: tuple[PublishedMark, ...] = ()


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
    trained = [r for r in drawn if r.perplexity is not None]
    sound = [record for record in trained if record.state not in _OUTSIDE] or trained
    outside = [r for r in drawn if not any(r is other for other in sound)]
    baseline = _baseline(front, metric)
    costs = [*([baseline] if baseline is not None else []), *(r.costs[metric] for r in drawn)]
    unit = scale(metric, costs)
    bars = {
        number: front.memberships[number] for number in {r.number for r in sound} & front.memberships.keys()
    }
    heights = [_perplexity(record) for record in sound]
    heights += [edge for spread in bars.values() for edge in (spread.low, spread.high)]
    if front.baseline_perplexity is not None:
        heights.append(front.baseline_perplexity)
    x = axis_around([unit.value(v) for v in costs], left=LEFT)
    y = axis_around(
        heights or [front.reference.unigram_perplexity / 10, front.reference.unigram_perplexity],
        band=bool(outside),
    )
    band = y.at(1 - BAND) if outside else None
    knee = front.balance
    marks = []
    for record in sorted(drawn, key=lambda r: r in front.points):
        kind: Kind = "front" if record in front.points else "dominated"
        height, beyond = record.perplexity, any(record is other for other in outside)
        if beyond:
            kind, depth = _OUTSIDE[record.state]
            height = y.at(1 - BAND * depth)
        assert height is not None, "only a candidate in the band has no perplexity"
        marks.append(
            Mark(
                record,
                kind,
                unit.value(record.costs[metric]),
                height,
                on_front=record in front.points,
                knee=record is knee,
                seeds=None if beyond else bars.get(record.number),
            )
        )
    whose = "" if front.target is None else f" of {front.target.name}"
    return Panel(
        metric=metric,
        scale=unit,
        x=x,
        y=y,
        marks=tuple(marks),
        step=_step([(unit.value(r.costs[metric]), _perplexity(r)) for r in sound], x, band or y.high),
        baseline=(None if baseline is None else unit.value(baseline), front.baseline_perplexity),
        band=band,
        x_name=unit.heading.replace(unit.name, f"{unit.name}{whose}", 1),
        y_name="perplexity" if front.target is None else "perplexity of the proxy",
        published=published_marks(front, metric, unit, x, y, band or y.high),
    )


def _baseline(front: Front, metric: str) -> float | None:
    """The baseline's cost: the reference's, or that of a trained one; None where neither tells it."""
    if metric in front.baseline:
        return front.baseline[metric]
    return next((r.costs[metric] for r in _drawn(front) if front.is_baseline(r)), None)


def _step(points: Iterable[tuple[float, float]], x: Axis, top: float) -> tuple[tuple[float, float], ...]:
    """The edge of the dominated region, from the top of the panel to its right side."""
    best: list[tuple[float, float]] = []
    for point in sorted(points):
        if not best or point[1] < best[-1][1]:
            best.append(point)
    if not best:
        return ()
    corners = [(best[0][0], top)]
    for (cost, height), (following, _) in zip(best, [*best[1:], (x.high, 0.0)], strict=True):
        corners += [(cost, height), (following, height)]
    return tuple(corners)


def _perplexity(record: Record) -> float:
    assert record.perplexity is not None, "trained records have a perplexity"
    return record.perplexity
