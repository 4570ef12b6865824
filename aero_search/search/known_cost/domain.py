"""The points of a search as the sampler sees them: an assignment, the network it means, its exact costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution

from aero_search.architecture import Architecture
from aero_search.errors import RequestError
from aero_search.search.candidate import Candidate
from aero_search.search.known_cost.draws import change, distributions, draw, every, read
from aero_search.search.known_cost.features import features
from aero_search.space import Assignment, Space, Value

Array = npt.NDArray[np.float64]
Decode = Callable[[Assignment], Candidate]
Price = Callable[[Sequence[Architecture]], Sequence[Sequence[float]]]

# A space of at most so many assignments is looked at whole; a larger or continuous one is drawn from.
_SMALL = 1500
# Points remembered, so that thousands of trials are decoded once in a process; then the oldest go.
_REMEMBERED = 50_000

_Frozen = tuple[tuple[str, Value], ...]


@dataclass(frozen=True, eq=False)
class Point:
    """What is known about an assignment before it is trained.

    Attributes:
        identity: of the candidate; equal for two assignments that mean one training.
        costs: the objective's costs in order, exact.
        features: what perplexity is predicted from.
    """

    assignment: Assignment
    identity: str
    costs: tuple[float, ...]
    features: Array


class Domain:
    """A space whose every point can be decoded and priced without training.

    Args:
        space: what varies.
        decode: from an assignment to its candidate, in well under a millisecond; a RequestError where no network
            can be built so.
        price: the objective's costs of architectures, one row each.
        n_costs: how many there are in a row.
    """

    def __init__(self, space: Space, decode: Decode, price: Price, n_costs: int) -> None:
        self.space = space
        self.n_costs = n_costs
        self._decode, self._price = decode, price
        self._points: dict[_Frozen, Point | None] = {}
        self._all: list[dict[str, Value]] | None = every(space, _SMALL)

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's name for every parameter of the space."""
        return distributions(self.space)

    def drawn(self, rng: np.random.Generator, count: int, fixed: Assignment) -> list[Point]:
        """Random points, or every point of a small space; impossible architectures are left out."""
        if self._all is not None and not fixed:
            return self.points(self._all)
        return self.points([draw(self.space, rng, fixed) for _ in range(count)])

    def changed(
        self, rng: np.random.Generator, points: Sequence[Point], count: int, fixed: Assignment
    ) -> list[Point]:
        """Neighbours, `count` of each point: one, two or three of its parameters changed."""
        near = []
        for point in points:
            free = [name for name in point.assignment if name not in fixed]
            for _ in range(count if free else 0):
                most = min(3, len(free))
                names = rng.choice(len(free), size=int(rng.integers(1, most + 1)), replace=False)
                chosen = [free[i] for i in names]
                near.append(change(self.space, rng, point.assignment, chosen, fixed))
        return self.points(near)

    def stored(self, params: Mapping[str, Value]) -> Point | None:
        """The point of a trial's stored parameters; None where they are no point of this space."""
        try:
            assignment = read(self.space, params)
        except KeyError:
            return None
        found = self.points([assignment])
        return found[0] if found else None

    def points(self, assignments: Sequence[Assignment]) -> list[Point]:
        """The points of assignments that can be built, in order."""
        keys = [tuple(assignment.items()) for assignment in assignments]
        new = {key: dict(key) for key in keys if key not in self._points}
        candidates: dict[_Frozen, Candidate] = {}
        for key, assignment in new.items():
            try:
                candidates[key] = self._decode(assignment)
            except RequestError:
                self._points[key] = None
        prices = self._price([candidate.architecture for candidate in candidates.values()])
        for (key, candidate), costs in zip(candidates.items(), prices, strict=True):
            self._points[key] = Point(new[key], candidate.identity, tuple(costs), features(candidate))
        found = [self._points[key] for key in keys]
        while len(self._points) > _REMEMBERED:
            del self._points[next(iter(self._points))]
        return [point for point in found if point is not None]
