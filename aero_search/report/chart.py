"""What the picture of a front shows, free of any drawing library: panels, marks, ranges, ticks.

Perplexity (y) is drawn against each cost (x). Candidates without a sound perplexity (diverged, stopped, or still
on the unigram plateau) lie in a band above the panel: their cost is known, and a height would only squash the
rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aero_search.report.units import Scale, compact, scale

if TYPE_CHECKING:
    from aero_search.search.front import Front
    from aero_search.search.record import Record

Kind = Literal["front", "dominated", "plateau", "stopped", "diverged"]
# From this ratio of largest to smallest on, equal distances are equal factors.
LOG_FROM = 8.0
# Share of an axis left free on each side of the marks, and the band's share on top of the panel.
MARGIN, BAND = 0.09, 0.11
# Where in the band a kind lies, from its top.
_HEIGHT: Mapping[Kind, float] = {"diverged": 0.25, "stopped": 0.5, "plateau": 0.75}
# Fronts crowd where costs are low; labels find their room to the left of the cheapest.
LEFT = 0.2


@dataclass(frozen=True)
class Mark:
    """One candidate in one panel; x in the axis' unit, y a perplexity or a height in the band."""

    record: Record
    kind: Kind
    x: float
    y: float
    on_front: bool
    knee: bool = False

    @property
    def label(self) -> str:
        """Notation, with what it says in brackets on a line of its own."""
        return compact(self.record.notation).replace(" [", "\n[")

    @property
    def short_label(self) -> str:
        return f"#{self.record.number}"


@dataclass(frozen=True)
class Axis:
    """A range with its ticks; `log` axes hold values, not their logarithms."""

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Where a value lies on the axis, 0 to 1."""
        low, high, at = (
            (math.log(self.low), math.log(self.high), math.log(value))
            if self.log
            else (self.low, self.high, value)
        )
        return (at - low) / (high - low)

    def at(self, share: float) -> float:
        """The value at a share of the axis."""
        if self.log:
            return math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        return self.low + share * (self.high - self.low)


@dataclass(frozen=True)
class Panel:
    """Perplexity against one cost.

    Attributes:
        marks: faint ones first, so that the front is drawn on top.
        step: corners of the line through the points that are non-dominated in this pair, left to right.
        baseline: cost of SM + LN + G, and its perplexity where one is trained.
        band: where the band begins on y; None where every candidate has a sound perplexity.
    """

    metric: str
    scale: Scale
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    step: tuple[tuple[float, float], ...]
    baseline: tuple[float, float | None]
    band: float | None


def panels(front: Front) -> tuple[Panel, ...]:
    """One panel a cost of the objective, in its order; an empty study has empty panels."""
    return tuple(_panel(front, metric) for metric in front.objective.costs)


def _panel(front: Front, metric: str) -> Panel:
    trained = [*front.points, *front.dominated]
    without = [*front.stopped, *front.diverged]
    sound = [record for record in trained if record.state != "plateau"] or trained
    outside = [r for r in (*trained, *without) if not any(r is other for other in sound)]
    baseline = front.baseline[metric]
    unit = scale(metric, [baseline, *(record.costs[metric] for record in (*trained, *without))])
    xs = [unit.value(v) for v in (baseline, *(r.costs[metric] for r in (*trained, *without)))]
    heights = [_perplexity(record) for record in sound]
    if front.baseline_perplexity is not None:
        heights.append(front.baseline_perplexity)
    x = _axis(xs, left=LEFT)
    y = _axis(
        heights or [front.reference.unigram_perplexity / 10, front.reference.unigram_perplexity],
        band=bool(outside),
    )
    band = y.at(1 - BAND) if outside else None
    knee = front.knee() if front.points else None
    marks = []
    for record in sorted([*trained, *without], key=lambda r: r in front.points):
        kind: Kind = "front" if record in front.points else "dominated"
        height = record.perplexity
        if any(record is other for other in outside):
            kind = "diverged" if record.state == "diverged" else "plateau"
            kind = "stopped" if record.state == "stopped" else kind
            height = y.at(1 - BAND * _HEIGHT[kind])
        assert height is not None, "a candidate without perplexity is in the band"
        on_front = record in front.points
        marks.append(
            Mark(
                record, kind, unit.value(record.costs[metric]), height, on_front, on_front and record is knee
            )
        )
    return Panel(
        metric=metric,
        scale=unit,
        x=x,
        y=y,
        marks=tuple(marks),
        step=_step([(unit.value(r.costs[metric]), _perplexity(r)) for r in sound], x, band or y.high),
        baseline=(unit.value(baseline), front.baseline_perplexity),
        band=band,
    )


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


def _axis(values: Sequence[float], band: bool = False, left: float = MARGIN) -> Axis:
    """An axis around positive values, with a margin, and room for the band above them."""
    low, high = min(values), max(values)
    log = low > 0 and high / low > LOG_FROM
    start, end = (math.log(low), math.log(high)) if log else (low, high)
    room = end - start or abs(end) or 1.0
    start, end = start - room * left, end + room * MARGIN
    ticks = _log_ticks(math.exp(start), math.exp(end)) if log else round_ticks(start, end)
    if band:
        end += (end - start) * BAND / (1 - BAND)
    return Axis(math.exp(start), math.exp(end), True, ticks) if log else Axis(start, end, False, ticks)


def round_ticks(low: float, high: float, about: int = 6) -> tuple[float, ...]:
    """Round numbers within [low, high], about as many as asked for."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    width = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw)
    first = math.ceil(low / width)
    return tuple(round(i * width, 10) for i in range(first, math.floor(high / width) + 1))


def _log_ticks(low: float, high: float) -> tuple[float, ...]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    if high / low > 500:
        ticks = [10.0**power for power in powers]
    return tuple(tick for tick in ticks if low <= tick <= high)


def _perplexity(record: Record) -> float:
    assert record.perplexity is not None, "trained records have a perplexity"
    return record.perplexity
