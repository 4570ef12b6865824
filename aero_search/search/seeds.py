"""How far a perplexity moves with the seed: candidates that differ in nothing else, taken together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from aero_search.architecture import key
from aero_search.search.record import Record


@dataclass(frozen=True)
class Spread:
    """Perplexity over seeds.

    Attributes:
        mean: over the seeds.
        std: sample standard deviation (n - 1).
        n: number of seeds, at least 2.
    """

    mean: float
    std: float
    n: int

    @property
    def low(self) -> float:
        """One standard deviation below the mean."""
        return self.mean - self.std

    @property
    def high(self) -> float:
        """One standard deviation above the mean."""
        return self.mean + self.std


def spreads(records: Sequence[Record]) -> list[Spread | None]:
    """For each record the spread over all of `records` with its architecture and learning rate.

    Everything else of the recipe is a study's own and the same for all. None where there is one seed alone.
    """
    groups: dict[tuple[str, float], dict[int, float]] = {}
    for record in records:
        if record.perplexity is not None:
            groups.setdefault(_group(record), {})[record.seed] = record.perplexity
    return [_spread(list(groups.get(_group(record), {}).values())) for record in records]


def _group(record: Record) -> tuple[str, float]:
    return key(record.architecture), record.lr


def _spread(values: Sequence[float]) -> Spread | None:
    return Spread(mean(values), stdev(values), len(values)) if len(values) > 1 else None
