"""Choosing from a front: knee, budgets, trials, and sentences where a wish cannot be met."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aero_search.architecture import Architecture, Layer
from aero_search.errors import RequestError
from aero_search.front.document import front_document
from aero_search.front.front import Front, build_front
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference
from aero_search.front.record import Record, State

ARCHITECTURE = Architecture(n_head=2, d_model=16, seq_len=8, vocab_size=300, layers=(Layer(),))


def record(number: int, perplexity: float | None, latency: float, state: State = "finished") -> Record:
    return Record(
        number=number,
        candidate=f"c{number}",
        architecture=ARCHITECTURE,
        notation="SM + LN + G" if number == 0 else f"SM {number}",
        state=state,
        reason="",
        perplexity=perplexity,
        costs={"latency_s": latency, "flops": 1e9, "communication_bytes": latency * 1e9, "rounds": 1.0},
        overrides=(),
        lr=1e-3,
        seed=0,
        seconds=1.0,
        folder=Path("nowhere"),
        network=f"n{number}",
    )


@pytest.fixture
def front() -> Front:
    records = [
        record(0, 60.0, 10.0),
        record(1, 64.0, 5.0),
        record(2, 90.0, 4.0),
        record(3, 91.0, 6.0),
        record(4, None, 3.0, "diverged"),
        record(5, None, 1.0, "running"),
    ]
    return build_front(records, Objective(("perplexity", "latency_s")), Reference(400.0, {"latency_s": 10.0}))


def test_who_is_on_it(front: Front) -> None:
    assert [r.number for r in front.points] == [2, 1, 0]
    assert [r.number for r in front.dominated] == [3]
    assert [r.number for r in front.diverged] == [4]
    assert front.baseline_perplexity == 60.0
    assert front.saving(front.points[0], "latency_s") == 2.5


def test_picks(front: Front) -> None:
    assert front.knee().number == 1
    assert front.best().number == 0
    assert front.cheapest().number == 2
    assert front.trial(3).number == 3
    assert front.within({"latency_s": 6.0}).number == 1
    assert front.within({"perplexity": 70.0}).number == 1
    assert front.within({"perplexity": 95.0, "latency_s": 4.5}).number == 2


def test_wishes_that_cannot_be_met_are_told_with_the_nearest(front: Front) -> None:
    with pytest.raises(RequestError, match=r"nearest, SM 2  #2, has latency_s 4 s \(limit 3 s\)"):
        front.within({"latency_s": 3.0})
    with pytest.raises(RequestError, match=r"trial:9 names no trained candidate \(choices: 0, 1, 2, 3\)"):
        front.trial(9)
    empty = build_front([], front.objective, front.reference)
    with pytest.raises(RequestError, match="front is empty"):
        empty.knee()


def test_the_document_is_complete(front: Front) -> None:
    document = front_document(front)
    assert [entry["trial"] for entry in document["front"]] == [2, 1, 0]
    assert 0 < document["hypervolume"] < 1
    assert document["metrics"] == ["perplexity", "latency_s"]


def test_a_point_dominated_on_every_metric_but_equal_on_one_is_off_the_front() -> None:
    records = [record(0, 60.0, 5.0), record(1, 60.0, 6.0), record(2, 61.0, 5.0)]
    front = build_front(
        records, Objective(("perplexity", "latency_s")), Reference(400.0, {"latency_s": 10.0})
    )
    assert [r.number for r in front.points] == [0]


def test_the_best_balance_has_learned_something_and_is_no_tie(front: Front) -> None:
    objective, reference = front.objective, front.reference
    stuck = [record(0, 60.0, 10.0), record(1, 395.0, 1.0, "plateau")]
    one = build_front(stuck, objective, reference)
    assert [r.number for r in one.points] == [1, 0]
    assert one.knee().number == 0
    nothing = build_front(stuck[1:], objective, reference)
    assert nothing.balance is None
    # Asked for by name it is given: the export says that it has learned nothing.
    assert nothing.knee().number == 1
    # A chain of ties: 60.0 is a tie with 61.0, which is one with 62.0, but none with that.
    chain = [record(0, 60.0, 10.0), record(1, 61.0, 9.9), record(2, 62.0, 9.8)]
    assert build_front(chain, objective, reference).knee().number == 0
    assert build_front(chain[:2], objective, reference).knee().number == 1


def test_several_seeds_say_what_is_a_tie(front: Front) -> None:
    def seeded(number: int, perplexity: float, latency: float, spread: float) -> Record:
        pairs = tuple((seed, perplexity * (1 + spread * (seed - 1))) for seed in range(3))
        return replace(record(number, perplexity, latency), replicates=pairs)

    for spread, tied in ((1e-4, False), (3e-2, True)):
        pair = [seeded(0, 60.0, 10.0, spread), seeded(1, 61.8, 9.9, spread)]
        found = build_front(pair, front.objective, front.reference)
        assert found.tied(*found.points) is tied
