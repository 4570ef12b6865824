"""What a space holds, before anything is trained: distinct networks, what they cost, how many keep the limits.

Small spaces are listed and the answers are exact. Of larger ones a sample is looked at. If m(x) assignments name
the same network as assignment x, the number of networks is the sum of 1 / m(x) over all assignments: their
number, which is known, times the mean of 1 / m, which a uniform sample estimates.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from aero_search.architecture import Architecture, canonical, notation
from aero_search.cost import flops
from aero_search.errors import RequestError
from aero_search.front.objective import Objective
from aero_search.front.pricing import Pricing
from aero_search.space import Assignment, Tree, Value

METRICS = ("latency_s", "communication_bytes", "flops", "rounds")
# The score of a normal variable that 95 % of draws stay within.
_Z95 = 1.96
# Of the assignments that name one network, so many are followed; more are multiplied up.
_MEMBERS = 128

Build = Callable[[Assignment], Architecture]
Costs = Mapping[str, float]
_Frozen = frozenset[tuple[str, type, Value]]


@dataclass(frozen=True)
class Count:
    """A number and its 95 % confidence interval; both ends are the number where it is exact."""

    value: float
    low: float
    high: float

    @property
    def exact(self) -> bool:
        return self.low == self.high


@dataclass(frozen=True)
class Span:
    """The cheapest and the dearest network by one metric, in the metric's own unit, with their notations."""

    metric: str
    low: float
    high: float
    cheapest: str
    dearest: str


@dataclass(frozen=True)
class SpaceSummary:
    """What a space holds.

    Attributes:
        assignments: of the parameters that an architecture depends on, continuous ones counted once.
        looked_at: assignments that were built and priced.
        exact: every assignment was looked at.
        architectures: distinct networks.
        fitting: those that keep the objective's limits.
        impossible: share of the assignments that no network can be built from, 0 to 1.
        why_impossible: the first reason met; empty where there is none.
        spans: of every cost; in a sample the ends are found by descent from its ends.
        mean_flops: of a forward pass of a fitting network as it is trained, 2 x MACs; of all where none fits.
    """

    assignments: int
    looked_at: int
    exact: bool
    architectures: Count
    fitting: Count
    impossible: float
    why_impossible: str
    spans: tuple[Span, ...]
    mean_flops: float


class Summarizer:
    """Looks at assignments: builds, prices, and remembers what it has seen."""

    def __init__(self, tree: Tree, build: Build, pricing: Pricing, objective: Objective) -> None:
        self._tree, self._build, self._pricing, self._objective = tree, build, pricing, objective
        self._pricer = pricing.pricer()
        self._known: dict[Architecture, Costs] = {}
        self._networks: dict[_Frozen, Architecture | None] = {}
        self._multiplicities: dict[_Frozen, float] = {}
        self.why_impossible = ""

    def listed(self, assignments: Iterable[Assignment]) -> SpaceSummary:
        """Look at every assignment."""
        found: set[Architecture] = set()
        looked = impossible = 0
        for assignment in assignments:
            looked += 1
            a = self.network(assignment)
            if a is None:
                impossible += 1
            else:
                found.add(a)
        fitting = [a for a in found if self.fits(a)]
        return SpaceSummary(
            assignments=looked,
            looked_at=looked,
            exact=True,
            architectures=Count(len(found), len(found), len(found)),
            fitting=Count(len(fitting), len(fitting), len(fitting)),
            impossible=impossible / looked,
            why_impossible=self.why_impossible,
            spans=self._spans(list(found)),
            mean_flops=_mean_flops(fitting or list(found)),
        )

    def sampled(self, assignments: Sequence[Assignment]) -> SpaceSummary:
        """Estimate from assignments drawn evenly; intervals are Wilson's, which hold for any share of 0 to 1."""
        total, n = self._tree.total, len(assignments)
        networks = [self.network(assignment) for assignment in assignments]
        shares = [
            0.0 if a is None else 1 / self.multiplicity(x) for x, a in zip(assignments, networks, strict=True)
        ]
        built = [a for a in networks if a is not None]
        fit = [
            share if a is not None and self.fits(a) else 0.0
            for share, a in zip(shares, networks, strict=True)
        ]
        fitting = [a for a in built if self.fits(a)]
        ends = [x for x, a in zip(assignments, networks, strict=True) if a is not None]
        return SpaceSummary(
            assignments=total,
            looked_at=n,
            exact=False,
            architectures=_scaled(shares, total, at_least=len(set(built))),
            fitting=_scaled(fit, total, at_least=len(set(fitting))),
            impossible=1 - len(built) / n,
            why_impossible=self.why_impossible,
            spans=self._spans([*built, *self._descended(ends)]),
            mean_flops=_mean_flops(fitting or built),
        )

    def network(self, assignment: Assignment) -> Architecture | None:
        """The canonical architecture of an assignment; None where none can be built, or priced at the target."""
        name = _frozen(assignment)
        if name not in self._networks:
            try:
                a = canonical(self._build(assignment))
                self.costs(a)
                self._networks[name] = a
            except RequestError as problem:
                self.why_impossible = self.why_impossible or str(problem)
                self._networks[name] = None
        return self._networks[name]

    def costs(self, a: Architecture) -> Costs:
        """Every cost of a canonical architecture, at the target's size where there is one."""
        if a not in self._known:
            prices = self._pricer.price([self._pricing.priced(a)])
            self._known[a] = {
                "latency_s": float(prices.latency_seconds[0]),
                "communication_bytes": float(prices.communication_bytes[0]),
                "flops": float(prices.flops[0]),
                "rounds": float(prices.rounds[0]),
                "usd": float(prices.usd[0]),
            }
        return self._known[a]

    def fits(self, a: Architecture) -> bool:
        """Whether the architecture keeps the objective's limits."""
        return not self._objective.over(self.costs(a))

    def multiplicity(self, x: Assignment) -> float:
        """How many assignments name the network of `x`, itself among them.

        They are found from one another by changing one parameter at a time. Settings without effect are so by
        themselves, so this reaches all of them but where two must change together.
        """
        name = _frozen(x)
        if name not in self._multiplicities:
            self._multiplicities[name] = self._members(x)
        return self._multiplicities[name]

    def _members(self, x: Assignment) -> float:
        network = self.network(x)
        seen = {_frozen(x)}
        frontier: list[Assignment] = [x]
        while frontier:
            for y in self._tree.neighbours(frontier.pop()):
                if (name := _frozen(y)) not in seen and self.network(y) == network:
                    seen.add(name)
                    frontier.append(y)
            if len(seen) > _MEMBERS:
                return max(self._product(x, network), float(len(seen)))
        return float(len(seen))

    def _product(self, x: Assignment, network: Architecture | None) -> float:
        """The same number where every parameter is free or not whatever the others are."""
        free: dict[str, int] = {}
        for y in self._tree.neighbours(x):
            changed = [name for name in x if name in y and y[name] != x[name]]
            if len(changed) == 1 and y.keys() == x.keys() and self.network(y) == network:
                free[changed[0]] = free.get(changed[0], 1) + 1
        return float(math.prod(free.values()))

    def _descended(self, starts: Sequence[Assignment]) -> list[Architecture]:
        """From the cheapest and dearest starts by every metric, the networks at the end of steepest descents."""
        found = []
        for metric in METRICS:
            for sign in (1.0, -1.0):
                x = min(starts, key=lambda y: self._signed(y, metric, sign), default=None)
                while x is not None:
                    best = min(
                        self._tree.neighbours(x), key=lambda y: self._signed(y, metric, sign), default=x
                    )
                    if self._signed(best, metric, sign) >= self._signed(x, metric, sign):
                        break
                    x = best
                end = None if x is None else self.network(x)
                found += [] if end is None else [end]
        return found

    def _signed(self, x: Assignment, metric: str, sign: float) -> float:
        """The cost, or with sign -1 its negative; what cannot be built is never the least."""
        a = self.network(x)
        return math.inf if a is None else sign * self.costs(a)[metric]

    def _spans(self, networks: Sequence[Architecture]) -> tuple[Span, ...]:
        if not networks:
            return ()
        spans = []
        names = {a: notation(a) for a in networks}
        for metric in METRICS:
            # Of equal costs the network with the plainest name speaks for all.
            low, high = (
                min(networks, key=lambda a: (sign * self.costs(a)[metric], len(names[a]), names[a]))
                for sign in (1.0, -1.0)
            )
            ends = self.costs(low)[metric], self.costs(high)[metric]
            spans.append(Span(metric, *ends, self._name(low), self._name(high)))
        return tuple(spans)

    def _name(self, a: Architecture) -> str:
        return notation(self._pricing.priced(a))


def summarize_space(
    tree: Tree,
    build: Build,
    pricing: Pricing,
    objective: Objective,
    limit: int,
    samples: int,
    seed: int,
    progress: Callable[[list[dict[str, Value]]], Iterable[dict[str, Value]]] = iter,
) -> SpaceSummary:
    """List a space of at most `limit` assignments, or estimate from `samples` drawn evenly.

    Args:
        build: from an assignment to its architecture; a RequestError makes it an impossible one.
        progress: wraps the assignments that are looked at, to show how far it is.
    """
    summarizer = Summarizer(tree, build, pricing, objective)
    if tree.total <= limit:
        return summarizer.listed(progress(list(tree)))
    rng = random.Random(seed)
    drawn = [tree.draw(rng) for _ in range(samples)]
    # Looking at one for the first time is the work: what the estimate asks for again is remembered.
    for assignment in progress(drawn):
        if summarizer.network(assignment) is not None:
            summarizer.multiplicity(assignment)
    return summarizer.sampled(drawn)


def _scaled(shares: Sequence[float], total: int, at_least: int) -> Count:
    """total x the mean of shares, with Wilson's interval; a share in 0 to 1 varies no more than a yes or no."""
    n = len(shares)
    mean = sum(shares) / n
    middle = (mean + _Z95**2 / (2 * n)) / (1 + _Z95**2 / n)
    half = _Z95 / (1 + _Z95**2 / n) * math.sqrt(mean * (1 - mean) / n + _Z95**2 / (4 * n**2))
    return Count(
        max(total * mean, at_least),
        max(total * (middle - half), at_least),
        max(total * (middle + half), at_least),
    )


def _mean_flops(networks: Sequence[Architecture]) -> float:
    return sum(flops(a).total for a in networks) / len(networks) if networks else math.nan


def _frozen(x: Assignment) -> _Frozen:
    return frozenset((name, type(value), value) for name, value in x.items())
