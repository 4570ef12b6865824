"""The points of a search as the sampler sees them: an assignment, the network it means, its exact costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution

from aero_search.architecture import Architecture, key
from aero_search.errors import RequestError
from aero_search.front.objective import Objective
from aero_search.search.candidate import Candidate, FastComposer
from aero_search.search.known_cost.draws import change, distributions, draw, every, read
from aero_search.search.known_cost.features import features
from aero_search.space import Assignment, Space, Value

Array = npt.NDArray[np.float64]
Decode = Callable[[Assignment], Candidate]
Price = Callable[[Sequence[Architecture]], Sequence[Sequence[float] | None]]

# A space of at most so many assignments is looked at whole; a larger or continuous one is drawn from.
_SMALL = 1500


@dataclass(frozen=True, eq=False)
class Point:
    """What is known about an assignment before it is trained.

    Attributes:
        candidate: what it means.
        costs: the objective's costs in order, exact.
        features: what perplexity is predicted from.
    """

    assignment: Assignment
    candidate: Candidate
    costs: tuple[float, ...]
    features: Array

    @property
    def identity(self) -> str:
        """Equal for two assignments that mean one training. Slow at first: asked of few points."""
        return self.candidate.identity


class Domain:
    """A space whose every point can be decoded and priced without training.

    Args:
        space: what varies.
        decode: from an assignment to its candidate, in well under a millisecond; a RequestError where no network
            can be built so.
        price: the objective's costs of architectures, one row each; None where one is above a limit.
        n_costs: how many there are in a row.
    """

    def __init__(self, space: Space, decode: Decode, price: Price, n_costs: int) -> None:
        self.space = space
        self.n_costs = n_costs
        self._decode, self._price = decode, price
        # By parameters, so that thousands of trials are decoded once in a process.
        self._stored: dict[tuple[tuple[str, Value], ...], Point | None] = {}
        self._assignments = every(space, _SMALL)
        self._all: list[Point] | None = None

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's name for every parameter of the space."""
        return distributions(self.space)

    def drawn(self, rng: np.random.Generator, count: int, fixed: Assignment) -> list[Point]:
        """Random points, or every point of a small space; impossible architectures are left out."""
        if self._assignments is not None and not fixed:
            if self._all is None:
                self._all = self.points(self._assignments)
            return self._all
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
        """The point of a trial's stored parameters, remembered; None where they are no point of this space."""
        key = tuple(params.items())
        if key not in self._stored:
            try:
                found = self.points([read(self.space, params)])
            except KeyError:
                found = []
            self._stored[key] = found[0] if found else None
        return self._stored[key]

    def network(self, assignment: Assignment, candidate: Candidate) -> str:
        """The network that an assignment trains, whatever its training settings: a key.

        Args:
            candidate: what the assignment means.
        """
        tuned = {p.name for p in self.space.training if p.override.partition(".")[0] != "recipe"}
        if not tuned & assignment.keys():
            return key(candidate.architecture)
        return key(self._decode(self.space.network(assignment)).architecture)

    def points(self, assignments: Sequence[Assignment]) -> list[Point]:
        """The points of assignments that can be built and are above no limit, in order."""
        candidates = []
        for assignment in assignments:
            try:
                candidates.append((assignment, self._decode(assignment)))
            except RequestError:
                continue
        prices = self._prices([candidate.architecture for _, candidate in candidates])
        return [
            Point(assignment, candidate, tuple(costs), features(candidate))
            for (assignment, candidate), costs in zip(candidates, prices, strict=True)
            if costs is not None
        ]

    def _prices(self, architectures: Sequence[Architecture]) -> Sequence[Sequence[float] | None]:
        """The costs of each; None where it is above a limit, or has no price at the size it is priced at."""
        try:
            return self._price(architectures)
        except RequestError:
            if len(architectures) == 1:
                return [None]
            return [row for architecture in architectures for row in self._prices([architecture])]


def make_domain(
    space: Space,
    compose: Callable[[Sequence[str]], Candidate],
    objective: Objective,
    costs_of_many: Callable[[Sequence[Architecture]], Sequence[Mapping[str, float]]],
) -> Domain:
    """The domain of a study: what its workers compose and price."""
    quick = compose.quick() if isinstance(compose, FastComposer) else compose

    def decode(assignment: Assignment) -> Candidate:
        return quick(space.overrides(assignment))

    def price(architectures: Sequence[Architecture]) -> list[list[float] | None]:
        priced = costs_of_many(architectures)
        return [None if objective.over(c) else [c[metric] for metric in objective.costs] for c in priced]

    return Domain(space, decode, price, len(objective.costs))
