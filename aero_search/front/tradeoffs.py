"""The way along a front: from one candidate to the next, what is given and what is gained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aero_search.front.front import Front
from aero_search.front.record import Record

Direction = Literal["cheaper", "better"]


@dataclass(frozen=True)
class Step:
    """From one candidate to another of the front.

    Attributes:
        direction: `cheaper` gives quality for cost, `better` cost for quality.
        to: where it leads.
        by: the costs along which it is the next step.
        tied: whether the two qualities differ by no more than seeds do.
        quality: name of the front's quality.
        change: of it, to minus from.
        shares: relative change of each cost, to / from - 1; a cost of 0 has none.
    """

    direction: Direction
    to: Record
    by: tuple[str, ...]
    quality: str
    change: float
    tied: bool
    shares: Mapping[str, float]

    def document(self) -> dict[str, Any]:
        """The step as JSON data."""
        return {
            "direction": self.direction,
            "trial": self.to.number,
            "notation": self.to.notation,
            "by": list(self.by),
            f"{self.quality}_change": self.change,
            "tied": self.tied,
            "cost_change_percent": {metric: 100 * share for metric, share in self.shares.items()},
        }


def next_steps(front: Front, record: Record) -> tuple[Step, ...]:
    """The next steps along the front from a trained candidate, cheaper ones first.

    For each cost of the objective: of the points that cost less the one of the best quality, and of the
    points of a surely better quality the one that costs least; of the ties where none is sure. Costs that
    lead to the same point make one step.
    """
    assert record.compared is not None, "only a trained candidate has neighbours"
    found: dict[tuple[Direction, int], list[str]] = {}
    for metric in front.objective.costs:
        less = [p for p in front.points if p.costs[metric] < record.costs[metric]]
        lower = [p for p in front.points if _loss(p) < record.compared]
        lower = [p for p in lower if not front.tied(p, record)] or lower
        if less:
            to = min(less, key=lambda p: (_loss(p), p.costs[metric]))
            found.setdefault(("cheaper", to.number), []).append(metric)
        if lower:
            to = min(lower, key=lambda p: (p.costs[metric], _loss(p)))
            found.setdefault(("better", to.number), []).append(metric)
    points = {point.number: point for point in front.points}
    steps = [
        _step(front, record, points[number], direction, tuple(by))
        for (direction, number), by in found.items()
    ]
    return tuple(sorted(steps, key=lambda step: step.direction != "cheaper"))


def _step(front: Front, record: Record, to: Record, direction: Direction, by: tuple[str, ...]) -> Step:
    shares: dict[str, float] = {
        m: to.costs[m] / record.costs[m] - 1 for m in front.objective.costs if record.costs[m]
    }
    change = front.value(to) - front.value(record)
    return Step(direction, to, by, front.objective.quality, change, front.tied(to, record), shares)


def _loss(record: Record) -> float:
    assert record.compared is not None, "points of a front are trained"
    return record.compared
