"""Places labels beside their points so that nothing overlaps. All lengths in pixels, y upwards.

Greedy, then swept until nothing improves: each label takes its cheapest place on rings around its point,
given where the others are. Fronts have at most some fifteen points, for which that is enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle with its lower left corner at (x, y)."""

    x: float
    y: float
    width: float
    height: float

    def overlap(self, other: Box) -> float:
        """Shared area."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        up = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return across * up if across > 0 and up > 0 else 0.0

    def inside(self, other: Box) -> bool:
        return (
            self.x >= other.x
            and self.y >= other.y
            and self.x + self.width <= other.x + other.width
            and self.y + self.height <= other.y + other.height
        )

    def grown(self, by: float) -> Box:
        return Box(self.x - by, self.y - by, self.width + 2 * by, self.height + 2 * by)

    def nearest(self, point: Point) -> Point:
        """The point of the box that is nearest to `point`."""
        return (
            min(max(point[0], self.x), self.x + self.width),
            min(max(point[1], self.y), self.y + self.height),
        )

    def crossed(self, start: Point, end: Point) -> bool:
        """Whether a segment enters the box (Liang and Barsky)."""
        (x, y), (dx, dy) = start, (end[0] - start[0], end[1] - start[1])
        enter, leave = 0.0, 1.0
        for p, q in (
            (-dx, x - self.x),
            (dx, self.x + self.width - x),
            (-dy, y - self.y),
            (dy, self.y + self.height - y),
        ):
            if p == 0:
                if q < 0:
                    return False
            elif p < 0:
                enter = max(enter, q / p)
            else:
                leave = min(leave, q / p)
        return enter < leave


@dataclass(frozen=True)
class Placed:
    """Where one label goes.

    Attributes:
        anchor: the point that is named.
        variant: which of the label's sizes is used, counted from 0.
        leader: where a line from the point ends; None where the label lies close enough to do without.
    """

    anchor: Point
    box: Box
    variant: int
    leader: Point | None


_RADII = (9.0, 15.0, 24.0, 36.0, 52.0, 72.0, 96.0)
_ANGLES = tuple(math.radians(degrees) for degrees in range(0, 360, 15))
_LEADER_FROM = 15.0
_PROHIBITIVE = 1e6
# What a line through a label costs, or a leader over another label; a place from this on is taken only if no
# shorter variant has a clear one.
_UNCLEAR = 2000.0


def place(
    anchors: Sequence[Point],
    sizes: Sequence[Sequence[tuple[float, float]]],
    frame: Box,
    obstacles: Sequence[Box] = (),
    lines: Sequence[tuple[Point, Point]] = (),
    unit: float = 1.0,
) -> list[Placed | None]:
    """Place one label beside each anchor.

    Args:
        anchors: the points, (n, 2).
        sizes: for each label (width, height) of its variants, the preferred one first.
        frame: labels stay inside.
        obstacles: marks no label may cover.
        lines: segments that labels had better not cover.
        unit: pixels a typographic point, in which distances from the anchor are chosen.

    Returns:
        One place an anchor; None where no variant fits.
    """
    placed: list[Placed | None] = [None] * len(anchors)
    for _ in range(4):
        before = list(placed)
        for i, anchor in enumerate(anchors):
            others = [p for j, p in enumerate(placed) if p is not None and j != i]
            chosen: tuple[float, int, Placed] | None = None
            # A shorter variant says less: it is tried only where the longer ones have no clear place.
            for variant, size in enumerate(sizes[i]):
                chosen = min(
                    *([chosen] if chosen else []),
                    *(
                        (
                            _cost(candidate, others, frame, obstacles, lines, unit),
                            variant * 1000 + k,
                            candidate,
                        )
                        for k, candidate in enumerate(_candidates(anchor, variant, size, unit))
                    ),
                )
                if chosen[0] < _UNCLEAR:
                    break
            placed[i] = chosen[2] if chosen and chosen[0] < _PROHIBITIVE else None
        if placed == before:
            break
    return placed


def _candidates(anchor: Point, variant: int, size: tuple[float, float], unit: float) -> Iterator[Placed]:
    (x, y), (width, height) = anchor, size
    for radius in (unit * points for points in _RADII):
        for angle in _ANGLES:
            cos, sin = math.cos(angle), math.sin(angle)
            # The box touches the ring with the side or corner that faces the point.
            left = x + radius * cos - width * (1 - _side(cos)) / 2
            bottom = y + radius * sin - height * (1 - _side(sin)) / 2
            box = Box(left, bottom, width, height)
            far = radius >= unit * _LEADER_FROM
            yield Placed(anchor, box, variant, box.nearest(anchor) if far else None)


def _side(component: float) -> float:
    """1 if the box lies wholly on the positive side, -1 on the negative, 0 centred, smooth in between."""
    return max(-1.0, min(1.0, 1.6 * component))


def _cost(
    candidate: Placed,
    others: Sequence[Placed],
    frame: Box,
    obstacles: Sequence[Box],
    lines: Sequence[tuple[Point, Point]],
    unit: float,
) -> float:
    box = candidate.box.grown(1.5 * unit)
    if not candidate.box.inside(frame):
        return 2 * _PROHIBITIVE
    if any(box.overlap(other.box) for other in others) or any(box.overlap(mark) for mark in obstacles):
        return _PROHIBITIVE
    anchor, leader = candidate.anchor, candidate.leader
    cost = 1.5 * math.dist(candidate.box.nearest(anchor), anchor)
    cost += _UNCLEAR * sum(box.crossed(*line) for line in lines)
    if leader is not None:
        # A leader over a label or a mark reads as belonging to it.
        cost += 15.0 * unit
        cost += _UNCLEAR * sum(other.box.crossed(anchor, leader) for other in others)
        # Over a line of the picture it reads as part of that.
        cost += 150.0 * unit * sum(_cross(anchor, leader, *line) for line in lines)
        cost += (
            80.0 * unit * sum(mark.crossed(anchor, leader) and not _holds(mark, anchor) for mark in obstacles)
        )
    for other in others:
        if other.leader is None:
            continue
        if box.crossed(other.anchor, other.leader):
            cost += _UNCLEAR
        if leader is not None and _cross(anchor, leader, other.anchor, other.leader):
            cost += 150.0 * unit
    return cost


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether segments ab and cd meet."""

    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def _holds(box: Box, point: Point) -> bool:
    return box.x <= point[0] <= box.x + box.width and box.y <= point[1] <= box.y + box.height
