"""Who goes on to a larger size, what is foreseen of the others, and stages that cannot be."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from aero_search.architecture import ModelShape
from aero_search.errors import RequestError
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference
from aero_search.front.record import Record
from aero_search.search.stages.foreseen import staged_networks
from aero_search.search.stages.promotion import greedy_subset, to_promote
from aero_search.search.stages.spec import StageSpec, StagesSpec
from aero_search.search.stages.stage import Stage, allowed
from tests.report.studies import BASE, COSTS, STUDY, record

OBJECTIVE = Objective(("perplexity", "latency_s", "flops"))
REFERENCE = Reference(417.0, {"latency_s": COSTS["latency_s"], "flops": COSTS["flops"]}, BASE)


def study() -> list[Record]:
    return [record(i, row) for i, row in enumerate(STUDY)]


def test_each_choice_adds_the_most_hypervolume() -> None:
    # Alone the middle one dominates 0.25, either end 0.16; then the left one adds more than what lies near.
    shares = np.array([[0.2, 0.8], [0.5, 0.5], [0.8, 0.2], [0.49, 0.52]])
    assert greedy_subset(shares, 1) == [1]
    assert greedy_subset(shares, 3) == [1, 0, 2]
    assert greedy_subset(shares, 9) == [1, 0, 2, 3]
    assert greedy_subset(shares, 0) == []
    assert greedy_subset(np.array([[2.0, 0.1], [0.5, 0.5]]), 1) == [1]


def test_the_baseline_goes_beside_what_may_be_on_the_front() -> None:
    records = study()
    some = to_promote(records, OBJECTIVE, REFERENCE, 3)
    assert some[0] == 0
    assert len(some) == 4
    every = to_promote(records, OBJECTIVE, REFERENCE, 1.0)
    assert every[: len(some)] == some
    promoted = {records[number].notation for number in every}
    # What others beat by far goes on nowhere, nor what never trained.
    assert "SM + G" not in promoted
    assert not {records[number].state for number in every} & {"plateau", "diverged"}
    assert to_promote(records[1:], OBJECTIVE, REFERENCE, 2)[0] != 0


def test_a_share_is_of_the_networks_that_were_trained() -> None:
    assert [allowed(0.25, n) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]
    assert [allowed(3, n) for n in (2, 3, 9)] == [2, 3, 3]


def at(name: str, perplexity: float | None, state: str = "finished") -> Record:
    made = record(0, ("SM + R", state, perplexity, 1.0, 1.0, 1.0, 1.0, 0.01))
    return replace(made, overrides=(name, "recipe.seed=3"))


def test_where_a_network_has_not_been_it_is_foreseen() -> None:
    proxy = [
        at("a", 40.0),
        at("b", 44.0),
        at("c", 48.4),
        at("lost", 300.0, "plateau"),
        at("gone", None, "diverged"),
    ]
    # Each a third lower at the larger size.
    larger = [at("a", 30.0), at("c", 36.3)]
    found = staged_networks([proxy, larger])
    assert [n.reached for n in found] == [(40.0, 30.0), (44.0, None), (48.4, 36.3), (300.0, None)]
    said = found[1].foreseen
    assert said is not None
    assert said[0] == pytest.approx(33.0, rel=1e-3)
    assert said[1] < said[0] < said[2]
    assert [n.foreseen is None for n in found] == [True, False, True, True]
    assert all(n.foreseen is None for n in staged_networks([proxy, []]))


def test_a_stage_keeps_the_choices_and_takes_the_sizes() -> None:
    shape = ModelShape("medium", "llama", 6, 4, None, 128, 256, 50257, False)
    grown = Stage("medium", shape, (), 2).architecture(BASE)
    assert (len(grown.layers), grown.d_model, grown.seq_len) == (6, 128, 256)
    assert (grown.vocab_size, grown.tied_embeddings) == (BASE.vocab_size, BASE.tied_embeddings)


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ([StageSpec("medium", 0)], r"search.stages.sizes\[0\].networks=0 must lie between 1"),
        ([StageSpec("medium", 1.5)], "is a share of the networks"),
        ([StageSpec("medium", 2, ("data=x",))], "write recipe.FIELD=VALUE or model.FIELD=VALUE"),
        ([StageSpec("medium", 2), StageSpec("medium", 1)], "calls 2 sizes medium: give each another name="),
    ],
)
def test_a_list_that_cannot_be_is_refused(sizes: list[StageSpec], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        StagesSpec("mine", tuple(sizes))


def test_hypervolume_is_that_of_logarithms() -> None:
    """Two networks of equal cost: the one with the lower perplexity goes on first."""
    low, high = (
        record(n, ("SM + R", "finished", p, 0.5, 0.5, 0.5, 0.5, 0.01)) for n, p in ((0, 61.0), (1, 60.5))
    )
    assert math.log(61.0 / 60.5) < 0.02
    assert to_promote([low, high], OBJECTIVE, REFERENCE, 1) == [1]
