"""Candidates that a rung stops, that go on later, and that are repeated with other seeds: in the study's record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState

from aero_search.architecture import Attention
from aero_search.front.document import front_document
from aero_search.front.front import Front, build_front
from aero_search.front.pareto import Reference
from aero_search.search.candidate import Candidate
from aero_search.search.replicates import to_confirm
from aero_search.search.spec import RungsSpec, SearchSpec
from aero_search.search.study import Claim, Study
from aero_search.space import Categorical, Space
from aero_search.training.result import RESULT_FILE, Verdict, read_result
from aero_search.workers.trial_queue import FileLease
from tests.search import fakes
from tests.search.fakes import OBJECTIVE, SPACE, open_study, spec, trained

DOMINANCE = RungsSpec("dominance", first=0.3, chance=0.02)
REFERENCE = Reference(200.0, {"latency_s": 4.0, "flops": 18.0})
# One price for all, so that perplexity alone decides; tried in this order. Each rate is a network of its own, see
# `compose`.
ONE_PRICE = Space("lr", "one network", (Categorical("norm", ("none",)), Categorical("ffn", ("fused",)),
                                        Categorical("lr", (1e-3, 2e-3, 3e-3, 4e-3))))  # fmt: skip
Curve = list[tuple[int, float]]


def compose(overrides: Sequence[str]) -> Candidate:
    """A network with a temperature of its own for each rate, which costs nothing."""
    candidate = fakes.compose(overrides)
    start = Attention(temperature="learned", temperature_init=candidate.recipe.lr)
    return replace(candidate, architecture=replace(candidate.architecture, attention=start))


def rungs(n_trials: int, sampler: str = "random", confirm: int = 0) -> SearchSpec:
    return replace(spec(n_trials, sampler), rungs=DOMINANCE, confirm=confirm)


def queue(study: Study, *lrs: float) -> None:
    study.enqueue([{"norm": "none", "ffn": "fused", "lr": lr} for lr in lrs])


def train(study: Study, claim: Claim, curve: Curve, verdict: Verdict = "finished") -> str:
    """What a worker does with a claim whose curve is known; returns the verdict."""
    heard: Curve = []
    for step, value in curve:
        heard.append((step, value))
        study.report(claim.trial.number, heard)
        if study.judge(claim.trial.number, DOMINANCE).stop:
            study.tell(claim.trial.number, trained(claim.candidate, value, "stopped", heard))
            return "stopped"
    study.tell(claim.trial.number, trained(claim.candidate, curve[-1][1], verdict, curve))
    return verdict


def front(study: Study) -> Front:
    return build_front(study.records(), OBJECTIVE, REFERENCE)


def claimed(study: Study, lock: FileLease, asked: SearchSpec, space: Space = ONE_PRICE) -> Claim:
    claim = study.claim(lock, asked, space, compose)
    assert claim is not None
    return claim


def test_a_stopped_candidate_uses_budget_is_on_no_front_and_keeps_its_curve(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    queue(study, 1e-3, 2e-3)
    with FileLease(study.folder / "workers") as lock:
        assert train(study, claimed(study, lock, rungs(2)), [(2, 60.0), (4, 50.0)]) == "finished"
        assert train(study, claimed(study, lock, rungs(2)), [(2, 120.0), (4, 20.0)]) == "stopped"
        assert study.claim(lock, rungs(2), ONE_PRICE, compose) is None
    assert (study.used(), study.left(rungs(2))) == (2, 0)
    assert [t.state for t in study.study.trials] == [TrialState.COMPLETE, TrialState.PRUNED]
    again = open_study(tmp_path)  # all of it is in the database
    record = again.records()[1]
    assert (record.state, record.perplexity, record.curve, record.steps) == (
        "stopped",
        None,
        ((2, 120.0),),
        4,
    )
    assert [r.number for r in front(again).points] == [0]
    document = front_document(front(again))
    assert document["stopped"][0]["rung"] == {"step": 2, "steps": 4, "perplexity": 120.0}
    assert not document["dominated"]
    with pytest.raises(Exception, match="pick=trial:1 has no weights: it was stopped at step 2"):
        front(again).pick("trial:1")


def test_it_goes_on_when_what_stopped_it_diverges_before_anything_new_is_asked_for(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    queue(study, 1e-3, 2e-3)
    with FileLease(study.folder / "workers") as lock:
        leader = claimed(study, lock, rungs(3))
        study.report(leader.trial.number, [(2, 40.0)])
        second = claimed(study, lock, rungs(3))
        assert train(study, second, [(2, 100.0)]) == "stopped"
        second.folder.mkdir(parents=True)
        trained(second.candidate, 100.0, "stopped", [(2, 100.0)]).write(second.folder)
        study.tell(leader.trial.number, trained(leader.candidate, 40.0, "diverged", [(2, 40.0)]))
        again = claimed(study, lock, rungs(3))
        assert (again.resumes, again.candidate) == (1, second.candidate)
        assert again.folder == second.folder
        # The stopped result is no result of this training, and would settle it if its worker died now.
        assert not (again.folder / RESULT_FILE).exists()
        assert study.records()[-1].curve == ((2, 100.0),)
        assert study.used() == 2
        assert train(study, again, [(2, 100.0), (4, 70.0)]) == "finished"
        new = claimed(study, lock, rungs(3))
        assert new.resumes is None
        assert new.candidate.identity not in {leader.candidate.identity, second.candidate.identity}
    assert [r.state for r in study.records()] == ["diverged", "finished", "running"]
    assert [r.number for r in front(study).points] == [2]


def stopped_for_nothing(folder: Path) -> tuple[Study, SearchSpec]:
    """A study of two whose second candidate was stopped for the sake of the first, which diverged later."""
    study, asked = open_study(folder), rungs(2)
    queue(study, 1e-3, 2e-3)
    with FileLease(study.folder / "workers") as lock:
        leader = claimed(study, lock, asked)
        study.report(leader.trial.number, [(2, 40.0)])
        assert train(study, claimed(study, lock, asked), [(2, 100.0)]) == "stopped"
        assert study.left(asked) == 0
        study.tell(leader.trial.number, trained(leader.candidate, 40.0, "diverged", [(2, 40.0)]))
    assert study.left(asked) == 1
    return study, asked


def test_it_goes_on_at_the_end_of_the_budget_and_after_its_worker_s_death(tmp_path: Path) -> None:
    study, asked = stopped_for_nothing(tmp_path)
    with FileLease(study.folder / "workers") as dying:
        assert claimed(study, dying, asked).resumes == 1
        assert study.left(asked) == 0
    study.requeue_stale()
    assert study.left(asked) == 1
    assert study.used() == 2
    with FileLease(study.folder / "workers") as lock:
        last = claimed(study, lock, asked)
        assert last.resumes == 1
        assert train(study, last, [(2, 100.0), (4, 70.0)]) == "finished"
        assert study.claim(lock, asked, ONE_PRICE, compose) is None
    assert [r.state for r in study.records()] == ["diverged", "finished"]


def test_one_that_kills_whoever_goes_on_with_it_stays_stopped(tmp_path: Path) -> None:
    study, asked = stopped_for_nothing(tmp_path)
    for _ in range(2):
        with FileLease(study.folder / "workers") as dying:
            assert claimed(study, dying, asked).resumes == 1
        study.requeue_stale()
    assert len(study.quarantined()) == 1
    assert study.left(asked) == 0
    with FileLease(study.folder / "workers") as lock:
        assert study.claim(lock, asked, ONE_PRICE, compose) is None
    assert [r.state for r in study.records()] == ["diverged", "stopped"]


def test_a_worker_that_dies_after_its_result_leaves_a_stopped_candidate(tmp_path: Path) -> None:
    study, asked = open_study(tmp_path), rungs(2)
    queue(study, 1e-3, 2e-3)
    with FileLease(study.folder / "workers") as lock:
        assert train(study, claimed(study, lock, asked), [(2, 60.0), (4, 50.0)]) == "finished"
        with FileLease(study.folder / "workers") as dying:
            claim = claimed(study, dying, asked)
            claim.folder.mkdir(parents=True)
            trained(claim.candidate, 120.0, "stopped", [(2, 120.0)]).write(claim.folder)
        study.requeue_stale()
    assert read_result(claim.folder).verdict == "stopped"
    assert [r.state for r in study.records()] == ["finished", "stopped"]
    assert study.left(asked) == 0


def test_a_proposal_of_a_stopped_candidate_is_not_trained(tmp_path: Path) -> None:
    study, asked = open_study(tmp_path), rungs(4)
    queue(study, 1e-3, 2e-3)
    with FileLease(study.folder / "workers") as lock:
        train(study, claimed(study, lock, asked), [(2, 60.0), (4, 50.0)])
        train(study, claimed(study, lock, asked), [(2, 120.0)])
        while claim := study.claim(lock, asked, ONE_PRICE, compose):
            train(study, claim, [(2, 60.0), (4, 50.0)])
    assert len({r.candidate for r in study.records()}) == len(study.records()) == 4


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2", "gp", "known_cost"])
def test_samplers_go_on_beside_stopped_candidates(tmp_path: Path, sampler: str) -> None:
    budget = 7 if sampler == "gp" else 14
    study, asked = open_study(tmp_path), rungs(budget, sampler)
    study.enqueue([{"norm": "none", "ffn": "fused", "lr": lr} for lr in (1e-3, 1e-2)])
    verdicts = []
    with FileLease(study.folder / "workers") as lock:
        while claim := study.claim(lock, asked, SPACE, compose):
            end = 40.0 * (1 + 400 * claim.candidate.recipe.lr)
            verdicts.append(train(study, claim, [(2, 1.2 * end), (4, end)]))
    assert study.used() == budget
    assert "stopped" in verdicts
    # Nothing crosses here, so what is stopped is dominated by what is on the front.
    points = front(study)
    for record in points.stopped:
        end = record.curve[-1][1] / 1.2
        assert any(
            p.perplexity < end and all(p.costs[m] <= record.costs[m] for m in OBJECTIVE.costs)  # type: ignore[operator]
            for p in points.points
        )


def test_known_cost_learns_what_is_foreseen_for_a_stopped_candidate(tmp_path: Path) -> None:
    from aero_search.search.known_cost.domain import make_domain
    from aero_search.search.known_cost.history import read_history

    study, asked = open_study(tmp_path), rungs(4)
    queue(study, 1e-3, 2e-3, 3e-3)
    with FileLease(study.folder / "workers") as lock:
        train(study, claimed(study, lock, asked), [(2, 80.0), (4, 40.0)])
        train(study, claimed(study, lock, asked), [(2, 81.0), (4, 20.25)])
        assert train(study, claimed(study, lock, asked), [(2, 300.0)]) == "stopped"
    domain = make_domain(ONE_PRICE, compose, OBJECTIVE, lambda many: [study.price(a).costs for a in many])
    history = read_history(study.study.trials, domain, 3, own=99)
    assert [t.number for t in history.finished] == [0, 1]
    assert [t.number for t in history.stopped] == [2]
    # The others fell to a half and to a quarter: in the mean of logarithms, by 2 sqrt(2).
    assert history.foreseen == pytest.approx((300.0 / math.sqrt(8),))
    assert study.records()[2].candidate in history.taken


def outcome(candidate: Candidate, ends: Mapping[tuple[float, int], float | None]) -> tuple[float, Verdict]:
    end = ends.get((candidate.recipe.lr, candidate.recipe.seed), 90.0)
    return (90.0, "diverged") if end is None else (end, "finished")


def run(study: Study, asked: SearchSpec, ends: Mapping[tuple[float, int], float | None]) -> list[Claim]:
    claims = []
    with FileLease(study.folder / "workers") as lock:
        while claim := study.claim(lock, asked, ONE_PRICE, compose):
            claims.append(claim)
            end, verdict = outcome(claim.candidate, ends)
            study.tell(claim.trial.number, trained(claim.candidate, end, verdict))
    return claims


def confirm(study: Study, count: int) -> None:
    study.confirm(to_confirm(study.records(), OBJECTIVE, REFERENCE), count)


ENDS = {(1e-3, 0): 40.0, (1e-3, 1): 42.0, (1e-3, 2): None, (2e-3, 0): 40.5, (2e-3, 1): 40.0, (2e-3, 2): 40.6,
        (3e-3, 0): 41.0}  # fmt: skip


def test_seeds_go_where_the_front_is_undecided_round_by_round(tmp_path: Path) -> None:
    study, asked = open_study(tmp_path), rungs(4, confirm=2)
    queue(study, 1e-3, 2e-3, 3e-3, 4e-3)
    run(study, asked, ENDS)
    rounds = []
    for _ in range(2):
        confirm(study, 2)
        rounds.append([(c.confirms, c.candidate.recipe.seed) for c in run(study, asked, ENDS)])
    # 41.0 is 2.5 % above 40.0, a chance below one in ten, so it is no near rival; the second seeds leave the order
    # of the other two open, and by their means it is one.
    assert rounds == [[(0, 1), (1, 1)], [(0, 2), (1, 2), (2, 1)]]
    assert study.asked_repetitions() == len(study.repetitions()) == 5
    assert study.used() == 4
    assert {r.seed for r in study.repetitions()} == {1, 2}
    records = {r.number: r for r in study.records()}
    assert records[0].replicates == ((0, 40.0), (1, 42.0), (2, None))
    assert records[0].perplexity == pytest.approx(math.sqrt(40 * 42))
    assert records[1].perplexity == pytest.approx((40.5 * 40.0 * 40.6) ** (1 / 3))
    assert records[3].replicates == ()
    # The lucky first seed has lost its place.
    assert [r.number for r in front(study).points] == [1]
    entry = front_document(front(study))["front"][0]["seeds"]
    assert entry["seed"] == [0, 1, 2]
    assert entry["low"] < entry["mean"] == records[1].perplexity < entry["high"]
    assert 0.5 < entry["probability"] < 0.9
    # Nobody gets more than was asked for.
    confirm(study, 2)
    assert study.left(asked) == 0
    confirm(study, 3)
    assert [c.candidate.recipe.seed for c in run(study, asked, ENDS)] == [3, 3]


def test_what_is_decided_gets_no_third_seed(tmp_path: Path) -> None:
    study, asked = open_study(tmp_path), rungs(2, confirm=5)
    queue(study, 1e-3, 2e-3)
    ends = {(rate, seed): end for rate, end in ((1e-3, 40.0), (2e-3, 40.6)) for seed in range(2)}
    ends |= {(2e-3, 1): 44.0}
    run(study, asked, ends)
    for left in (2, 0):
        confirm(study, 5)
        assert study.left(asked) == left
        run(study, asked, ends)


def test_a_repetition_survives_its_worker_s_death(tmp_path: Path) -> None:
    study, asked = open_study(tmp_path), rungs(1, confirm=1)
    queue(study, 1e-3)
    run(study, asked, ENDS)
    confirm(study, 1)
    with FileLease(study.folder / "workers") as dying:
        claim = claimed(study, dying, asked)
        assert (claim.confirms, claim.candidate.recipe.seed) == (0, 1)
    study.requeue_stale()
    confirm(study, 1)
    assert study.left(asked) == 1
    (again,) = run(study, asked, ENDS)
    assert (again.confirms, again.candidate) == (0, claim.candidate)
    assert study.records()[0].replicates == ((0, 40.0), (1, 42.0))


@pytest.mark.parametrize("field", ["seed", "confirm"])
def test_counts_below_nothing_are_refused(field: str) -> None:
    with pytest.raises(Exception, match=f"search.{field}=-1 must be at least 0"):
        replace(spec(1), **{field: -1})
