"""What a study's candidates are priced under: protocol, network, and the size that will be deployed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from aero_search.architecture import BASELINE, Architecture, ModelShape, parse_notation, retarget
from aero_search.cost import (
    LIST_PRICES,
    NO_LOWERINGS,
    PREFILL,
    Lowerings,
    Network,
    PriceList,
    Pricer,
    Protocol,
    Workload,
    estimate,
)
from aero_search.front.objective import Objective, metrics_of, metrics_of_prices


@dataclass(frozen=True)
class Price:
    """What one architecture costs, counted once.

    Attributes:
        costs: every metric: latency_s, communication_bytes, flops, rounds, usd.
        parts: seconds and bytes of each part of the model, by names such as `seconds_by_part/softmax`.
        lowerings: that were chosen, by entry of `protocol.use`.
    """

    costs: Mapping[str, float]
    parts: Mapping[str, float] = field(default_factory=dict)
    lowerings: Mapping[str, str] = field(default_factory=dict)

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
        lowerings: of which each architecture takes the cheapest.
    """

    protocol: Protocol
    network: Network
    target: ModelShape | None = None
    workload: Workload = PREFILL
    prices: PriceList = LIST_PRICES
    lowerings: Lowerings = NO_LOWERINGS

    def pricer(self) -> Pricer:
        """A pricer of the same; keep it where many follow one another."""
        return Pricer(self.protocol, self.network, self.workload, self.prices, self.lowerings)

    def of(self, architecture: Architecture) -> Pricing:
        """The same with the lowerings that an architecture takes, and no others to choose from."""
        if not self.lowerings:
            return self
        protocol = self.pricer().protocol_of(self.priced(architecture))
        return replace(self, protocol=protocol, lowerings=NO_LOWERINGS)

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
        priced = self.priced(architecture)
        use = self.pricer().use(priced) if self.lowerings else {}
        protocol = self.protocol.with_use(use)
        cost = estimate(priced, protocol, self.network, workload=self.workload, prices=self.prices)
        seconds, bytes_ = cost.latency_seconds.by_op, cost.communication_bytes.by_op
        parts = {
            **{f"seconds_by_part/{part}": float(value) for part, value in seconds.items()},
            **{f"bytes_by_part/{part}": float(value) for part, value in bytes_.items()},
        }
        return Price(metrics_of(cost), parts, use)

    def many(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        """The same of many at once, for a sampler that looks at thousands."""
        return metrics_of_prices(self.pricer().price([self.priced(a) for a in architectures]))

    def baseline(self, like: Architecture, objective: Objective) -> dict[str, float]:
        """The objective's costs of SM + LN + G at the size of `like`, or the target's; savings count from it."""
        costs = self(parse_notation(BASELINE, like))
        return {metric: costs[metric] for metric in objective.costs}


def lowerings_of(choices: Mapping[str, tuple[str, ...]], objective: Objective) -> Lowerings:
    """The choices of a space, the cheapest taken by the first cost of an objective."""
    return Lowerings(choices, *objective.costs[:1])
