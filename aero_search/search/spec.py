"""How much a search trains, with what sampler and how many workers: the group `search`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from aero_search.errors import RequestError
from aero_search.plugins import Names, Options
from aero_search.schema import OneOf, beyond
from aero_search.search.stages.spec import StagesSpec

SAMPLERS = Names("aero_search.samplers", "known_cost", "tpe", "nsga2", "gp", "random")

HEARTBEAT_SECONDS = 10.0
_DAY = 86_400
_MOST_TRIALS = 10**6
# The seed is numpy's; more threads than this no machine starts.
_BOUNDS = {
    "n_trials": (1, _MOST_TRIALS),
    "workers": (1, 10_000),
    "threads": (1, 1024),
    "seed": (0, 2**32 - 1),
    "confirm": (0, 1000),
    "retries": (0, 1000),
}


@dataclass(frozen=True)
class SamplerSpec:
    """What proposes candidates: `known_cost` is ours, others are Optuna's or a plug-in's (`aero_search.samplers`).

    Attributes:
        n_startup: candidates before a model is used: random ones; with known_cost the cheapest, then ones far from
            each other.
        population_size: of nsga2.
        per_second: known_cost weighs the expected gain by the predicted seconds of training.
        options: of a plug-in's sampler.
    """

    name: Annotated[str, OneOf(SAMPLERS)]
    n_startup: int = 6
    population_size: int = 8
    per_second: bool = False
    options: Options = field(default_factory=dict)


@dataclass(frozen=True)
class RungsSpec:
    """When a training is stopped before its end: the group `search/rungs`; see docs/rungs.md.

    Attributes:
        name: `none` trains every candidate to its end.
        first: share of a training's steps before which the rule stops nothing.
        chance: of `dominance`: the chance to end below a rival, under which a candidate stops.
        eta: of `asha`: one in so many goes on at a rung, and rungs lie this factor apart.
    """

    name: Literal["none", "asha", "dominance"] = "none"
    first: float = 1 / 3
    chance: float = 0.05
    eta: float = 2.0

    def __post_init__(self) -> None:
        problems = list(self._violations())
        if problems:
            raise RequestError("; ".join(problems))

    def _violations(self) -> Iterator[str]:
        if not 0 < self.first < 1:
            yield f"search.rungs.first={self.first:g} must lie above 0 and below 1: a share of the steps"
        if not 0 < self.chance < 0.5:
            yield f"search.rungs.chance={self.chance:g} must lie above 0 and below 0.5"
        if not self.eta > 1:
            yield f"search.rungs.eta={self.eta:g} must be above 1"


@dataclass(frozen=True)
class SearchSpec:
    """The budget of a search.

    Attributes:
        n_trials: candidates to train; duplicates and impossible architectures do not count, one that is stopped
            at a rung does, once, whether or not it goes on later.
        workers: processes that train at the same time.
        threads: cores each worker uses.
        seed: of the sampler.
        rungs: when a candidate is stopped before its end.
        confirm: the most further seeds of what may be on the front, once the budget is used; see `to_confirm`.
        storage: address of the PostgreSQL database that machines share; None is SQLite under output_dir.
        heartbeat: seconds between two signs of life of a worker, where the database is shared.
        stages: the larger sizes at which what may be on the front is trained again.
        retries: how often a candidate whose worker died is given to another one that gets no further.
    """

    sampler: SamplerSpec
    n_trials: int
    workers: int
    threads: int
    seed: int
    rungs: RungsSpec = field(default_factory=RungsSpec)
    stages: StagesSpec = field(default_factory=StagesSpec)
    confirm: int = 0
    storage: str | None = None
    heartbeat: float = HEARTBEAT_SECONDS
    retries: int = 1

    def __post_init__(self) -> None:
        problems = list(self._violations())
        if problems:
            raise RequestError("; ".join(problems))

    def _violations(self) -> Iterator[str]:
        for name, (least, most) in _BOUNDS.items():
            yield from beyond(f"search.{name}", getattr(self, name), least, most)
        if not 0 < self.heartbeat <= _DAY:
            yield f"search.heartbeat={self.heartbeat} must be above 0 seconds and at most {_DAY:,}"
        sampler = self.sampler
        yield from beyond("search.sampler.population_size", sampler.population_size, 2, _MOST_TRIALS)
        yield from beyond("search.sampler.n_startup", sampler.n_startup, 1, _MOST_TRIALS)
