"""What a user can spend: the limits of a search, and those by which `front` and `export` choose."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aero_search.errors import RequestError
from aero_search.front.objective import Constraint, Objective
from aero_search.front.quality import ACCURACY, BITS_PER_BYTE, PERPLEXITY, QUALITIES
from aero_search.quantity import UNITS, parse_quantity

Amount = int | float | str | None


@dataclass(frozen=True)
class Budget:
    """The fields `budget.*` of conf/config.yaml; None is no limit.

    Attributes:
        latency_s, communication_bytes, flops, rounds, usd: the largest cost, with its unit (`30 s`, `2 GB`, `40 G`,
            `5 cent`).
        perplexity, bits_per_byte: the largest on the held-out split; known after training alone.
        accuracy: the least there, 0 to 1.

    Raises:
        RequestError: an amount is no quantity of its metric.
    """

    latency_s: Amount = None
    communication_bytes: Amount = None
    flops: Amount = None
    rounds: Amount = None
    usd: Amount = None
    perplexity: float | None = None
    bits_per_byte: float | None = None
    accuracy: float | None = None

    def __post_init__(self) -> None:
        self.limits()

    def limits(self) -> dict[str, float]:
        """The limits by metric name, in the metrics' own units; empty where none was given.

        All are the largest value but for qualities that are maximized.
        """
        said = {metric: getattr(self, metric) for metric in UNITS}
        found = {m: parse_quantity(m, v, f"budget.{m}") for m, v in said.items() if v is not None}
        for quality in (PERPLEXITY, BITS_PER_BYTE, ACCURACY):
            if (value := getattr(self, quality)) is None:
                continue
            if not value > 0:
                raise RequestError(f"budget.{quality}={value:g} must be above 0")
            if quality == ACCURACY and value > 1:
                raise RequestError(f"budget.accuracy={value:g} is a share: take one up to 1, such as 0.4")
            found[quality] = value
        return found

    def bound(self, objective: Objective) -> Objective:
        """The objective of a search that trains nothing above the budget.

        Raises:
            RequestError: the budget limits a quality, or a cost that the objective limits otherwise.
        """
        constraints = dict(objective.constraints)
        for metric, limit in self.limits().items():
            if metric in QUALITIES:
                raise RequestError(
                    f"budget.{metric} bounds no search: only costs are known before training (front and export "
                    "choose by it)"
                )
            if objective.limits.get(metric, limit) != limit:
                raise RequestError(
                    f"budget.{metric} and objective.constraints.{metric}.max limit the same cost: leave one out"
                )
            constraints[metric] = Constraint(getattr(self, metric))
        return replace(objective, constraints=constraints)


@dataclass(frozen=True)
class Maxima:
    """How `front` and `export` spell a budget too, for scripts that do: plain numbers in fixed units.

    Attributes:
        max_latency_s: seconds.
        max_comm_gb: 1e9 bytes, both directions.
        max_flops: 2 x MACs.
        max_perplexity: on the held-out split.
    """

    max_latency_s: float | None
    max_comm_gb: float | None
    max_flops: float | None
    max_perplexity: float | None

    def limits(self, budget: Budget) -> dict[str, float]:
        """Those of the budget and these, by metric name in the metrics' own units.

        Raises:
            RequestError: one is given in both spellings.
        """
        found = budget.limits()
        for name, metric, size in (
            ("max_latency_s", "latency_s", 1.0),
            ("max_comm_gb", "communication_bytes", 1e9),
            ("max_flops", "flops", 1.0),
            ("max_perplexity", PERPLEXITY, 1.0),
        ):
            if (value := getattr(self, name)) is not None:
                if metric in found:
                    raise RequestError(f"{name} and budget.{metric} say the same: leave one out")
                found[metric] = value * size
        return found
