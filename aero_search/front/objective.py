"""What a search improves: a quality, which needs training and has a direction, and costs, which need none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_args

from aero_search.architecture import Architecture
from aero_search.cost import (
    LIST_PRICES,
    PREFILL,
    Cost,
    Network,
    PriceList,
    Prices,
    Protocol,
    Workload,
    estimate,
)
from aero_search.errors import RequestError, nearest
from aero_search.front.quality import QUALITIES, Metric
from aero_search.quantity import UNITS, parse_quantity, write_quantity


@dataclass(frozen=True)
class Constraint:
    """The largest value of a cost that a candidate may have, with its unit (`2 GB`); None is no limit."""

    max: int | float | str | None = None


@dataclass(frozen=True)
class Objective:
    """What a study improves, and what it does not look at.

    Attributes:
        metrics: a quality first, in its own direction, then costs, which are minimized.
        constraints: by cost, whether or not it is one of the metrics; known before training, so an
            architecture above a limit is never trained.
        target: the model group at whose size costs are counted; None: the size that is trained.
    """

    metrics: tuple[Metric, ...]
    constraints: Mapping[str, Constraint] = field(default_factory=dict)
    target: str | None = None

    def __post_init__(self) -> None:
        told = f"objective.metrics={list(self.metrics)}"
        if (
            not self.metrics
            or self.metrics[0] not in QUALITIES
            or len(set(self.metrics)) != len(self.metrics)
        ):
            choices = ", ".join(get_args(Metric))
            raise RequestError(
                f"{told} must begin with a quality ({', '.join(QUALITIES)}) and name no metric twice "
                f"(choices: {choices})"
            )
        if second := [metric for metric in self.metrics[1:] if metric in QUALITIES]:
            raise RequestError(f"{told} has one quality, {self.quality}: leave {', '.join(second)} out")
        if len(self.metrics) < 2:
            raise RequestError(f"objective.metrics needs a cost beside {self.quality}, such as latency_s")
        _ = self.limits

    @cached_property
    def limits(self) -> Mapping[str, float]:
        """The largest value allowed by cost, in seconds, bytes, FLOPs and round trips; only costs with a limit.

        Raises:
            RequestError: not a cost, or not a quantity of it.
        """
        found: dict[str, float] = {}
        for metric, constraint in self.constraints.items():
            if metric in QUALITIES:
                raise RequestError(
                    f"objective.constraints.{metric} cannot be: only costs are known before training "
                    f"(front and export take budget.{metric}=)"
                )
            if metric not in UNITS:
                raise RequestError(f"objective.constraints.{metric} is not a cost: {nearest(metric, UNITS)}")
            if constraint.max is not None:
                found[metric] = parse_quantity(metric, constraint.max, f"objective.constraints.{metric}.max")
        return found

    def over(self, costs: Mapping[str, float]) -> str:
        """The names of the limits these costs are above, such as `latency_s above 30 s`; empty where none."""
        return ", ".join(
            f"{metric} above {write_quantity(metric, limit)}"
            for metric, limit in self.limits.items()
            if costs[metric] > limit
        )

    def settings(self) -> dict[str, Any]:
        """What must stay the same in a study, as plain data; equal limits in other units are equal here."""
        limits = {metric: {"max": write_quantity(metric, limit)} for metric, limit in self.limits.items()}
        return {"metrics": list(self.metrics), "constraints": limits, "target": self.target}

    @property
    def quality(self) -> Metric:
        """The metric that needs training."""
        return self.metrics[0]

    @property
    def costs(self) -> tuple[Metric, ...]:
        """The metrics that are exact without training."""
        return self.metrics[1:]


def known_costs(
    architecture: Architecture,
    protocol: Protocol,
    network: Network,
    workload: Workload = PREFILL,
    prices: PriceList = LIST_PRICES,
) -> dict[str, float]:
    """Every cost metric of an architecture: seconds, bytes, FLOPs (2 x MACs), rounds, US dollars."""
    return metrics_of(estimate(architecture, protocol, network, workload=workload, prices=prices))


def metrics_of(cost: Cost) -> dict[str, float]:
    """The same of an estimate."""
    return {
        "latency_s": float(cost.latency_seconds.total),
        "communication_bytes": float(cost.communication_bytes.total),
        "flops": float(cost.flops.total),
        "rounds": float(cost.rounds),
        "usd": float(cost.usd.total),
    }


def metrics_of_prices(prices: Prices) -> list[dict[str, float]]:
    """`known_costs` of a batch that is priced: equal to those of each up to the order of floating-point sums."""
    columns = {
        "latency_s": prices.latency_seconds,
        "communication_bytes": prices.communication_bytes,
        "flops": prices.flops,
        "rounds": prices.rounds,
        "usd": prices.usd,
    }
    return [{name: float(column[i]) for name, column in columns.items()} for i in range(len(prices))]
