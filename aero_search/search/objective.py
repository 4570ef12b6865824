"""What a search keeps small: perplexity, which needs training, and costs, which do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from aero_search.architecture import BASELINE, Architecture, parse_notation
from aero_search.cost import Network, Protocol, estimate, flops, price_batch
from aero_search.errors import RequestError

Metric = Literal["perplexity", "latency_s", "communication_bytes", "flops", "rounds"]
PERPLEXITY: Metric = "perplexity"
LABELS: Mapping[str, str] = {
    "perplexity": "perplexity",
    "latency_s": "latency (s)",
    "communication_bytes": "communication (GB)",
    "flops": "FLOPs (G)",
    "rounds": "rounds",
}


@dataclass(frozen=True)
class Objective:
    """The metrics of a study, all minimized; perplexity is always among them and first."""

    metrics: tuple[Metric, ...]

    def __post_init__(self) -> None:
        if self.metrics[:1] != (PERPLEXITY,) or len(set(self.metrics)) != len(self.metrics):
            choices = ", ".join(get_args(Metric))
            raise RequestError(
                f"objective.metrics={list(self.metrics)} must begin with perplexity and name no metric twice "
                f"(choices: {choices})"
            )
        if len(self.metrics) < 2:
            raise RequestError("objective.metrics needs a cost beside perplexity, such as latency_s")

    @property
    def costs(self) -> tuple[Metric, ...]:
        """The metrics that are exact without training."""
        return self.metrics[1:]


def baseline_costs(
    like: Architecture, objective: Objective, protocol: Protocol, network: Network
) -> dict[str, float]:
    """The objective's costs of SM + LN + G at the size of `like`, what savings are counted from."""
    costs = known_costs(parse_notation(BASELINE, like), protocol, network)
    return {metric: costs[metric] for metric in objective.costs}


def known_costs(architecture: Architecture, protocol: Protocol, network: Network) -> dict[str, float]:
    """Every cost metric of an architecture: seconds, bytes, FLOPs (2 x MACs), rounds."""
    cost = estimate(architecture, protocol, network)
    return {
        "latency_s": float(cost.latency_seconds.total),
        "communication_bytes": float(cost.communication_bytes.total),
        "flops": float(flops(architecture).total),
        "rounds": float(cost.rounds),
    }


def known_costs_of_many(
    architectures: Sequence[Architecture], protocol: Protocol, network: Network
) -> list[dict[str, float]]:
    """`known_costs` of each, forty times as fast and equal up to the order of floating-point sums."""
    prices = price_batch(architectures, protocol, network)
    columns = {
        "latency_s": prices.latency_seconds,
        "communication_bytes": prices.communication_bytes,
        "flops": prices.flops,
        "rounds": prices.rounds,
    }
    return [{name: float(column[i]) for name, column in columns.items()} for i in range(len(prices))]
