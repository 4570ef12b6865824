"""How sure a place on the front is: closed forms, Monte Carlo, and what diverges."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from aero_search.front.front_membership import memberships
from aero_search.front.record import Record
from aero_search.front.seed_scatter import Scatter
from tests.search.fakes import BASE

COSTS = ("latency_s", "flops")


def record(
    number: int, *perplexities: float | None, costs: tuple[float, float] = (1.0, 1.0), state: str = "finished"
) -> Record:
    finite = [p for p in perplexities if p is not None]
    return Record(
        number=number,
        candidate=str(number),
        architecture=BASE,
        notation="SM",
        state=state,  # type: ignore[arg-type]
        reason="",
        perplexity=math.exp(sum(map(math.log, finite)) / len(finite)),
        costs=dict(zip(COSTS, costs, strict=True)),
        overrides=(),
        lr=1e-3,
        seed=0,
        seconds=1.0,
        folder=Path(),
        replicates=tuple(enumerate(perplexities)) if len(perplexities) > 1 else (),
    )


def test_without_repetitions_nothing_is_said() -> None:
    assert memberships([record(0, 40.0), record(1, 41.0)], COSTS, [0]) == {}


def test_two_alike_share_the_place_and_a_cheaper_one_keeps_its_own() -> None:
    alike = [
        record(0, 40.0, 41.0, 42.0),
        record(1, 40.0, 41.0, 42.0),
        record(2, 50.0, 51.0, costs=(0.5, 1.0)),
    ]
    found = memberships(alike, COSTS, [0, 2])
    assert found[0].probability == pytest.approx(0.5, abs=2e-3)
    assert found[1].probability == pytest.approx(0.5, abs=2e-3)
    assert found[2].probability == 1.0
    # One that costs more of either does not count, however good it is.
    assert memberships([*alike, record(3, 10.0, costs=(1.0, 1.1))], COSTS, [3])[0] == found[0]


def test_intervals_are_student_s_with_the_scatter_of_all() -> None:
    records = [record(0, 40.0, 44.0), record(1, 60.0, 63.0, costs=(0.5, 0.5)), record(2, 70.0)]
    found, scatter = memberships(records, COSTS, [0]), Scatter.of(records)
    assert found[0].spread == found[1].spread == scatter.spread
    half = scatter.half_width * scatter.spread / math.sqrt(2)
    assert found[0].mean == pytest.approx(math.sqrt(40 * 44))
    assert (found[0].low, found[0].high) == pytest.approx(
        (found[0].mean * math.exp(-half), found[0].mean * math.exp(half))
    )
    assert 2 not in found  # trained once, and not on the front


def test_pairs_that_happen_to_lie_close_make_no_place_sure() -> None:
    """The default search once had these: its own 0.22 % alone called 44.22 before 44.59 certain."""
    records = [
        record(13, 45.74, 45.44, costs=(9.02, 51.4)),
        record(10, 44.93, 44.77, costs=(9.63, 58.7)),
        record(6, 44.52, 44.66, costs=(10.1, 67.1)),
        record(8, 44.21, 44.23, costs=(10.6, 75.5)),
        record(0, 43.78, 43.72, costs=(14.4, 83.9)),
    ]
    found = memberships(records, COSTS, [r.number for r in records])
    assert found[13].probability == 1.0  # the cheapest is there whatever it reaches
    assert 0.5 < found[8].probability < 0.9
    assert 0.5 < found[0].probability < 0.9
    assert found[8].high / found[8].low > 1.02


def test_the_probability_is_what_draws_from_the_posterior_say() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        records = [
            record(
                i,
                *(40.0 * np.exp(0.05 * rng.standard_normal(int(rng.integers(1, 5))))),
                costs=(float(rng.integers(1, 3)), float(rng.integers(1, 3))),
            )
            for i in range(6)
        ]
        if not any(r.replicates for r in records):
            continue
        found = memberships(records, COSTS, [r.number for r in records])
        logs = [np.log([p for _, p in r.replicates] or [r.perplexity]) for r in records]
        scatter, draws = Scatter.of(records), 200_000
        variance = scatter.freedom * scatter.spread**2 / rng.chisquare(scatter.freedom, draws)
        means = np.array([v.mean() + np.sqrt(variance / len(v)) * rng.standard_normal(draws) for v in logs])
        for i, own in enumerate(records):
            dominated = np.zeros(draws, dtype=bool)
            for j, other in enumerate(records):
                if j != i and all(other.costs[m] <= own.costs[m] for m in COSTS):
                    dominated |= means[j] < means[i]
            assert found[i].probability == pytest.approx(1 - dominated.mean(), abs=6e-3)


def test_a_seed_that_diverged_takes_its_share() -> None:
    found = memberships([record(0, 40.0, 40.1, None, None), record(1, 60.0, 60.1)], COSTS, [0, 1])
    assert (found[0].seeds, found[0].diverged) == (2, 2)
    assert found[0].probability == pytest.approx(0.5, abs=2e-3)
    # Where the better one is not there, the other is on the front.
    assert found[1].probability == pytest.approx(0.5, abs=2e-3)
