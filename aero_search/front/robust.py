"""One study under many systems and networks: where each point stays on the front, and which loses least at worst.

What a point is worth under a system is the hypervolume that it dominates alone, as a share of that system's box
(see `Reference`). Its regret there is what the best single point is worth more. A point that the system cannot run
is worth nothing. The choice that loses least in the worst case has the smallest largest regret (Savage's minimax
regret).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aero_search.architecture import Architecture
from aero_search.cost import crossing
from aero_search.errors import RequestError
from aero_search.front.objective import Objective, metrics_of_prices
from aero_search.front.pareto import Reference, nondominated
from aero_search.front.pricing import Pricing
from aero_search.front.record import Record


@dataclass(frozen=True)
class Standing:
    """One candidate under every system.

    Attributes:
        on_front: by system, whether it is on the front there; None where the system cannot run it.
        regret: by system, share of that system's box.
    """

    record: Record
    on_front: Mapping[str, bool | None]
    regret: Mapping[str, float]

    @property
    def fronts(self) -> int:
        """Under how many systems it is on the front."""
        return sum(on is True for on in self.on_front.values())

    @property
    def worst(self) -> str:
        """The system under which it loses most."""
        return max(self.regret, key=lambda name: self.regret[name])


@dataclass(frozen=True)
class Robustness:
    """A study under many systems.

    Attributes:
        systems: that have a price for the baseline, as PROTOCOL on NETWORK.
        left_out: the others, and why.
        standings: of every candidate that is on a front somewhere, the one that loses least at worst first.
        warning: what to say where the systems' trust models differ; empty where they do not.
    """

    systems: tuple[str, ...]
    left_out: Mapping[str, str]
    standings: tuple[Standing, ...]
    warning: str

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "systems": list(self.systems),
            "left_out": dict(self.left_out),
            "trust_warning": self.warning,
            "points": [
                {
                    "trial": s.record.number,
                    "notation": s.record.notation,
                    "perplexity": s.record.perplexity,
                    "fronts": s.fronts,
                    "on_front": dict(s.on_front),
                    "regret": dict(s.regret),
                    "worst": s.worst,
                }
                for s in self.standings
            ],
        }


def robustness(
    records: Sequence[Record],
    objective: Objective,
    unigram_perplexity: float,
    baseline: Architecture,
    pricings: Mapping[str, Pricing],
) -> Robustness:
    """Price every finished candidate under every system.

    Args:
        baseline: the network that savings are counted from; it sets each system's box.
        pricings: by the system's name.

    Raises:
        RequestError: no candidate has a perplexity, or no system runs the baseline.
    """
    trained = [r for r in records if r.state == "finished" and r.perplexity is not None]
    if not trained:
        raise RequestError("systems= needs a candidate that has learned something: none has yet")
    left_out: dict[str, str] = {}
    on_front: dict[str, list[bool | None]] = {}
    regret: dict[str, list[float]] = {}
    for name, pricing in pricings.items():
        try:
            reference = Reference(unigram_perplexity, pricing.baseline(baseline, objective))
        except RequestError as problem:
            left_out[name] = str(problem)
            continue
        on_front[name], regret[name] = _under(trained, objective, reference, pricing)
    if not on_front:
        raise RequestError(
            f"no system of systems= runs the baseline: {next(iter(left_out.values()), 'none named')}"
        )
    standings = [
        Standing(r, {n: on[i] for n, on in on_front.items()}, {n: lost[i] for n, lost in regret.items()})
        for i, r in enumerate(trained)
    ]
    somewhere = [standing for standing in standings if standing.fronts]
    somewhere.sort(key=lambda s: (s.regret[s.worst], s.record.number))
    warning = crossing(pricings[name].protocol.trust for name in on_front)
    return Robustness(tuple(on_front), left_out, tuple(somewhere), warning)


def _under(
    records: Sequence[Record], objective: Objective, reference: Reference, pricing: Pricing
) -> tuple[list[bool | None], list[float]]:
    """Whether each record is on the front, and its regret."""
    costs = priced_where_known([r.architecture for r in records], pricing)
    known = [i for i, cost in enumerate(costs) if cost is not None]
    rows = [_row(records[i], costs[i], objective) for i in known]
    on: list[bool | None] = [None] * len(records)
    worth = np.zeros(len(records))
    for i, row, kept in zip(known, rows, nondominated(np.array(rows, dtype=np.float64)), strict=True):
        on[i] = bool(kept)
        worth[i] = reference.hypervolume([row])
    return on, [float(worth.max() - value) for value in worth]


def _row(record: Record, costs: Mapping[str, float] | None, objective: Objective) -> list[float]:
    assert costs is not None
    assert record.perplexity is not None
    return [record.perplexity, *(costs[metric] for metric in objective.costs)]


def priced_where_known(
    architectures: Sequence[Architecture], pricing: Pricing
) -> list[Mapping[str, float] | None]:
    """The costs of each; None where the protocol does not say how to run one of its operations."""
    pricer = pricing.pricer()
    found: list[Mapping[str, float] | None] = []
    for architecture in architectures:
        try:
            found.append(metrics_of_prices(pricer.price([pricing.priced(architecture)]))[0])
        except RequestError:
            found.append(None)
    return found
