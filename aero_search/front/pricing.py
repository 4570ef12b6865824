"""What a study's candidates are priced under: protocol, network, and the size that will be deployed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aero_search.architecture import BASELINE, Architecture, ModelShape, parse_notation, retarget
from aero_search.cost import LIST_PRICES, PREFILL, Network, PriceList, Protocol, Workload, estimate
from aero_search.front.objective import Objective, known_costs_of_many, metrics_of


@dataclass(frozen=True)
class Price:
    """What one architecture costs, counted once.

    Attributes:
        costs: every metric: latency_s, communication_bytes, flops, rounds, usd.
        parts: seconds and bytes of each part of the model, by names such as `seconds_by_part/softmax`.
    """

    costs: Mapping[str, float]
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """All of them, for a tracking run."""
        return {**self.costs, **self.parts}


@dataclass(frozen=True)
class Pricing:
    """Prices architectures.

    Attributes:
        target: the shape that every architecture is carried over to first; None prices what is trained.
        workload: what one query is.
        prices: of traffic and machines.
    """

    protocol: Protocol
    network: Network
    target: ModelShape | None = None
    workload: Workload = PREFILL
    prices: PriceList = LIST_PRICES

    def priced(self, architecture: Architecture) -> Architecture:
        """The architecture whose cost is told: itself, or the same choices at the target's size.

        Raises:
            RequestError: the choices cannot be built at that size.
        """
        return architecture if self.target is None else retarget(architecture, self.target)

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        """Every cost metric of a candidate: seconds, bytes, FLOPs (2 x MACs), round trips, US dollars."""
        return dict(self.price(architecture).costs)

    def price(self, architecture: Architecture) -> Price:
        """The same with its parts, from one estimate."""
        cost = estimate(
            self.priced(architecture), self.protocol, self.network, workload=self.workload, prices=self.prices
        )
        seconds, bytes_ = cost.latency_seconds.by_op, cost.communication_bytes.by_op
        parts = {
            **{f"seconds_by_part/{part}": float(value) for part, value in seconds.items()},
            **{f"bytes_by_part/{part}": float(value) for part, value in bytes_.items()},
        }
        return Price(metrics_of(cost), parts)

    def many(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        """The same of many at once, for a sampler that looks at thousands."""
        priced = [self.priced(a) for a in architectures]
        return known_costs_of_many(priced, self.protocol, self.network, self.workload, self.prices)

    def baseline(self, like: Architecture, objective: Objective) -> dict[str, float]:
        """The objective's costs of SM + LN + G at the size of `like`, or the target's; savings count from it."""
        costs = self(parse_notation(BASELINE, like))
        return {metric: costs[metric] for metric in objective.costs}
