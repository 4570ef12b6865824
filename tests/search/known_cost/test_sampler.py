"""What is proposed: nothing twice, nothing impossible, apart when asked at once, away from divergence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optuna
import pytest

from aero_search.architecture import Architecture
from aero_search.errors import RequestError
from aero_search.front.pareto import Reference, nondominated
from aero_search.search.candidate import Candidate
from aero_search.search.known_cost import proposal
from aero_search.search.known_cost.domain import Domain
from aero_search.search.known_cost.history import choose_failed, choose_finished
from tests.search.known_cost.worlds import (
    FINITE,
    SPACE,
    ask,
    decode,
    domain,
    new_study,
    perplexity,
    price,
    search,
    train,
)


@pytest.fixture(autouse=True)
def _small_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    """The world is small; fewer points a turn find the same in a third of the time."""
    for name, size in {"_DRAWN": 100, "_NEAR_FRONT": 60, "_NEAR_BEST": 40}.items():
        monkeypatch.setattr(proposal, name, size)


def test_impossible_and_known_networks_are_never_proposed() -> None:
    found = search(12, domain())
    assert len({candidate.identity for candidate in found}) == 12


def test_what_has_no_price_is_left_out_alone() -> None:
    def some(architectures: Sequence[Architecture]) -> list[list[float]]:
        if any(a.layers[0].ffn == "fused" for a in architectures):
            raise RequestError("fused has no price here")
        return price(architectures)

    every = Domain(FINITE, decode, some, 2).drawn(np.random.default_rng(0), 10, {})
    assert {point.candidate.architecture.layers[0].ffn for point in every} == {"full"}
    assert len(every) == 2 * 4 * 2


def test_a_finite_space_is_gone_through_once_to_its_end() -> None:
    # 2 norms, and 4 depths of gelu, relu and fused feed-forwards.
    found = search(24, domain(FINITE))
    assert len({candidate.identity for candidate in found}) == 24


def test_a_used_up_space_falls_back_to_a_random_point() -> None:
    study = new_study()
    search(24, domain(FINITE), study)
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    trial = study.ask()
    assert FINITE.suggest(trial).keys() >= {"norm", "ffn", "ffn.layers", "lr"}


@pytest.mark.parametrize("finished", [0, 1, 8])
def test_workers_that_ask_at_once_are_sent_apart(finished: int) -> None:
    study, at = new_study(), domain()
    search(finished, at, study)
    # The same turn every time: only the pending trials can make a difference.
    found = [ask(study, at, turn=99)[1] for _ in range(5)]
    assert len({candidate.identity for candidate in found}) == 5
    if finished == 8:
        networks = {(candidate.architecture, round(np.log10(candidate.recipe.lr), 1)) for candidate in found}
        assert len(networks) == 5


def test_the_same_seed_and_trials_give_the_same_proposal() -> None:
    first, second = search(10, domain()), search(10, domain())
    assert first == second


def test_another_turn_gives_another_proposal_at_first() -> None:
    (one,), (other,) = ([ask(new_study(), domain(), turn=turn)[1]] for turn in (1, 2))
    assert one != other


def test_trials_of_another_process_teach_as_one_s_own_do(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = new_study(url, "shared")
    search(8, domain(), study)
    own = ask(study, domain(), turn=50)
    study.tell(own[0], state=optuna.trial.TrialState.FAIL)
    theirs = ask(optuna.load_study(study_name="shared", storage=url), domain(), turn=50)
    assert own[1] == theirs[1]


def test_it_leaves_a_region_that_diverges() -> None:
    begun, late = 0, 0
    for seed in (0, 100, 200):
        study, at = new_study(), domain()
        for turn in range(20):
            trial, candidate = ask(study, at, turn=seed + turn)
            lost = candidate.architecture.layers[0].norm == "none" and candidate.recipe.lr > 1e-3
            train(study, trial, candidate, "diverged" if lost else "finished")
            begun += lost and turn < 10
            late += lost and turn >= 10
    # A quarter of the space diverges: of thirty drawn at random, seven or eight.
    assert begun > 0
    assert late <= 4


@pytest.mark.parametrize("verdict", ["diverged", "plateau"])
def test_when_everything_fails_it_goes_on_to_what_is_farthest(verdict: str) -> None:
    study, at = new_study(), domain()
    found = []
    for _ in range(10):
        trial, candidate = ask(study, at)
        train(study, trial, candidate, verdict)
        found.append(candidate.architecture)
    assert len({a.layers[0].norm for a in found}) == 2
    assert len(set(found)) >= 6


def test_constant_perplexities_and_no_reference_are_survived() -> None:
    study = optuna.create_study(directions=["minimize"] * 3)
    at = domain()
    for _ in range(8):
        trial, _ = ask(study, at)
        study.tell(trial, [50.0, 3.0, 0.0])


def test_what_is_queued_keeps_its_values() -> None:
    study, at = new_study(), domain()
    search(6, at, study)
    study.enqueue_trial({"norm": "none", "ffn": "fused"})
    candidate = ask(study, at)[1]
    assert {layer.norm for layer in candidate.architecture.layers} == {"none"}
    assert candidate.architecture.layers[0].ffn == "fused"


def test_its_front_holds_more_than_those_of_random_searches() -> None:
    reference = Reference(200.0, {"latency_s": 9.0, "flops": 26.0})

    def volume(found: list[Candidate]) -> float:
        return reference.hypervolume([[perplexity(c), *price([c.architecture])[0]] for c in found])

    def drawn(seed: int) -> list[Candidate]:
        rng = np.random.default_rng(seed)
        return [point.candidate for point in domain().drawn(rng, 16, {})]

    assert volume(search(16, domain())) > np.quantile([volume(drawn(seed)) for seed in range(40)], 0.95)


def test_it_begins_with_the_cheapest_network_and_asks_for_it_once() -> None:
    study, at = new_study(), domain()
    costs = [price([ask(study, at)[1].architecture])[0] for _ in range(3)]
    # One fused feed-forward, no norms.
    assert costs[0] == [1.3, 11.0]
    assert costs[1] != costs[0] != costs[2]


def test_a_starting_point_as_cheap_as_any_is_not_repeated() -> None:
    study, at = new_study(), domain()
    study.enqueue_trial({"norm": "none", "ffn": "fused", "ffn.layers": 1, "lr": 3e-3})
    train(study, *ask(study, at))
    assert price([ask(study, at)[1].architecture])[0] != [1.3, 11.0]


def test_gain_a_second_avoids_what_trains_a_hundred_times_as_long() -> None:
    def slow_ones(per_second: bool) -> int:
        study, at = new_study(), domain()
        asked = []
        for _ in range(16):
            trial, candidate = ask(study, at, per_second=per_second)
            # The activation changes nothing but the time.
            slow = any(layer.activation == "gelu" for layer in candidate.architecture.layers)
            train(study, trial, candidate, seconds=1000.0 if slow else 10.0)
            asked.append(slow)
        return sum(asked[6:])

    assert 2 * slow_ones(per_second=True) < slow_ones(per_second=False)


def test_a_study_of_another_kind_is_sampled_at_random() -> None:
    study = optuna.create_study(directions=["minimize", "maximize", "minimize"])
    trial, _ = _ask_random(study)
    assert trial.params.keys() >= {"norm", "lr"}


def _ask_random(study: optuna.Study) -> tuple[optuna.Trial, object]:
    from tests.search.known_cost.worlds import sampler

    study.sampler = sampler(0, domain())
    trial = study.ask()
    return trial, SPACE.suggest(trial)


def test_the_subset_holds_front_rivals_recent_and_random_ones() -> None:
    rng = np.random.default_rng(0)
    shares = rng.uniform(size=(3000, 3))
    chosen = choose_finished(shares, np.random.default_rng(1), most=200)
    front = np.flatnonzero(nondominated(shares))
    assert len(chosen) == len(set(chosen)) == 200
    assert set(front) <= set(chosen)
    assert set(range(2960, 3000)) <= set(chosen)
    gap = np.array([(p[0] - shares[(shares[:, 1:] <= p[1:]).all(axis=1), 0]).max() for p in shares])
    assert np.median(gap[chosen[:100]]) < 0.2 * np.median(gap)
    others = set(chosen) - set(chosen[:150])
    assert min(others) < 1000 < max(others)
    assert choose_finished(shares[:50], rng, most=200)[: int(nondominated(shares[:50]).sum())] == list(
        np.flatnonzero(nondominated(shares[:50]))
    )


def test_the_subset_of_failed_trials_is_half_recent() -> None:
    chosen = choose_failed(1000, np.random.default_rng(0), most=100)
    assert len(set(chosen)) == 100
    assert set(range(950, 1000)) <= set(chosen)
    assert choose_failed(7, np.random.default_rng(0)) == list(range(7))
