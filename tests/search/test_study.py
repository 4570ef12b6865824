"""Claims, duplicates, orphans and budgets: nothing is trained twice and nothing is lost."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial, TrialState

from aero_search.front.front import build_front
from aero_search.front.pareto import Reference
from aero_search.search.study import Claim, Study
from aero_search.space import Categorical, Space
from aero_search.training.result import RESULT_FILE
from aero_search.workers.trial_queue import FileLease
from tests.search.fakes import SPACE, compose, open_study, spec, trained


def run_to_the_end(study: Study, n_trials: int, sampler: str = "random", space: Space = SPACE) -> list[str]:
    """What one worker does. Returns the identities it trained."""
    identities = []
    with FileLease(study.folder / "workers") as lock:
        while claim := study.claim(lock, spec(n_trials, sampler), space, compose):
            identities.append(claim.candidate.identity)
            study.tell(claim.trial.number, trained(claim.candidate))
    return identities


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2", "gp", "known_cost"])
def test_the_budget_counts_trained_candidates_only(tmp_path: Path, sampler: str) -> None:
    study = open_study(tmp_path)
    identities = run_to_the_end(study, 7, sampler)
    assert len(identities) == len(set(identities)) == 7
    assert study.used() == 7
    assert study.left(spec(7)) == 0
    assert len(study.records()) == 7
    # Impossible architectures were met on the way, told and not counted.
    assert all(r.state == "finished" and r.perplexity is not None for r in study.records())


def test_what_is_planned_stays_the_same_while_candidates_come_and_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = open_study(tmp_path)
    assert study.planned(spec(5)) == 5
    with FileLease(study.folder / "workers") as lock:
        claim = study.claim(lock, spec(5), SPACE, compose)
        assert claim is not None
        assert (study.used(), study.left(spec(5)), study.planned(spec(5))) == (1, 4, 5)
        study.tell(claim.trial.number, trained(claim.candidate))
    run_to_the_end(study, 5)
    assert (study.planned(spec(5)), study.planned(spec(7)), study.planned(spec(3))) == (5, 7, 5)
    looks = []
    listed = study.study.get_trials
    monkeypatch.setattr(study.study, "get_trials", lambda *a, **k: looks.append(1) or listed(*a, **k))
    study.planned(spec(5))
    assert len(looks) == 1, "a claim between two looks would be counted twice or not at all"


def test_a_raised_budget_goes_on(tmp_path: Path) -> None:
    first = run_to_the_end(open_study(tmp_path), 3)
    second = run_to_the_end(open_study(tmp_path), 5)
    assert len(second) == 2
    assert not set(first) & set(second)


def test_an_interrupted_search_proposes_what_an_uninterrupted_one_does(tmp_path: Path) -> None:
    whole = run_to_the_end(open_study(tmp_path / "whole"), 8, "tpe")
    parts = [run_to_the_end(open_study(tmp_path / "parts"), n, "tpe") for n in (3, 5, 8)]
    assert [identity for part in parts for identity in part] == whole


def test_a_sampler_that_knows_the_costs_asks_for_no_duplicate_and_nothing_impossible(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    identities = run_to_the_end(study, 10, "known_cost")
    assert len(set(identities)) == 10
    assert len(study.study.trials) == 10
    again = [run_to_the_end(open_study(tmp_path / "again"), n, "known_cost") for n in (4, 10)]
    assert [identity for part in again for identity in part] == identities


def test_a_worker_s_death_does_not_change_what_is_proposed_after_it(tmp_path: Path) -> None:
    whole = run_to_the_end(open_study(tmp_path / "whole"), 8, "tpe")
    study = open_study(tmp_path / "hurt")
    before = run_to_the_end(study, 4, "tpe")
    with FileLease(study.folder / "workers") as lock:
        assert study.claim(lock, spec(8, "tpe"), SPACE, compose)
    after = run_to_the_end(open_study(tmp_path / "hurt"), 8, "tpe")
    assert before + after == whole


def test_duplicates_are_told_the_twin_s_values_and_not_trained(tmp_path: Path) -> None:
    space = Space(
        "small",
        "two networks",
        (
            Categorical("norm", ("none",)),
            Categorical("ffn", ("full", "fused")),
            Categorical("activation", ("gelu",), when={"ffn": ("full",)}),
            Categorical("lr", (0.001,)),
        ),
    )
    study = open_study(tmp_path)
    assert len(run_to_the_end(study, 10, space=space)) == 2
    assert study.duplicates() > 0
    twins = {t.number: t for t in study.study.trials}
    for trial in study.study.trials:
        if "duplicate_of" in trial.user_attrs:
            assert trial.values == twins[trial.user_attrs["duplicate_of"]].values


def claim_one(study: Study, lock: FileLease) -> Claim:
    claim = study.claim(lock, spec(), SPACE, compose)
    assert claim is not None
    return claim


def test_two_workers_never_hold_the_same_candidate(tmp_path: Path) -> None:
    space = SPACE.with_parameters(Categorical("lr", (0.001,)), Categorical("ffn", ("full",)))
    study = open_study(tmp_path)
    with FileLease(study.folder / "workers") as one, FileLease(study.folder / "workers") as two:
        claims = [study.claim(lock, spec(), space, compose) for lock in (one, two, one, two)]
        identities = [claim.candidate.identity for claim in claims if claim is not None]
        assert len(set(identities)) == len(identities) == 4
        # All four networks of this space are in training: there is nothing left to claim.
        assert study.claim(one, spec(), space, compose) is None


def test_a_dead_worker_s_candidate_is_trained_again_first(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    with FileLease(study.folder / "workers") as lock:
        lost = claim_one(study, lock)
    with FileLease(study.folder / "workers") as lock:
        again = claim_one(study, lock)
        assert again.candidate.identity == lost.candidate.identity
        assert study.study.trials[lost.trial.number].state == TrialState.FAIL
        assert study.used() == 1


def test_a_result_written_before_the_death_is_kept(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    with FileLease(study.folder / "workers") as lock:
        lost = claim_one(study, lock)
        study.note_run(lost.trial.number, "run-7")
        lost.folder.mkdir(parents=True)
        trained(lost.candidate).write(lost.folder)
    study.requeue_stale()
    assert study.orphaned_runs() == ["run-7"]
    (record,) = study.records()
    assert record.state == "finished"
    assert record.candidate == lost.candidate.identity


def cut_short(folder: Path) -> None:
    content = (folder / RESULT_FILE).read_bytes()
    (folder / RESULT_FILE).write_bytes(content[: len(content) // 2])


def emptied(folder: Path) -> None:
    (folder / RESULT_FILE).write_bytes(b"")


def other_number(folder: Path) -> None:
    said = json.loads((folder / RESULT_FILE).read_text())
    (folder / RESULT_FILE).write_text(json.dumps(said | {"perplexity": 1.5}))


def made_a_folder(folder: Path) -> None:
    (folder / RESULT_FILE).unlink()
    (folder / RESULT_FILE).mkdir()


@pytest.mark.parametrize("damage", [cut_short, emptied, other_number, made_a_folder])
def test_a_damaged_result_is_kept_aside_and_its_candidate_trained_again(
    damage: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = open_study(tmp_path)
    with FileLease(study.folder / "workers") as lock:
        lost = claim_one(study, lock)
        lost.folder.mkdir(parents=True)
        trained(lost.candidate).write(lost.folder)
    damage(lost.folder)
    open_study(tmp_path).requeue_stale()
    (line,) = capsys.readouterr().err.splitlines()
    assert str(lost.folder / RESULT_FILE) in line
    assert "trained again" in line
    assert (lost.folder / f"{RESULT_FILE}.damaged").exists()
    with FileLease(study.folder / "workers") as lock:
        again = claim_one(study, lock)
        assert again.candidate.identity == lost.candidate.identity
        study.tell(again.trial.number, trained(again.candidate))
    assert [record.perplexity for record in study.records()] == [trained(lost.candidate).perplexity]


def test_a_live_worker_s_candidate_is_left_alone(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    with FileLease(study.folder / "workers") as lock:
        claim_one(study, lock)
        open_study(tmp_path).requeue_stale()
        assert study.used() == 1


def _claim_and_wait(folder: Path, ready: multiprocessing.synchronize.Event) -> None:
    study = open_study(folder)
    with FileLease(study.folder / "workers") as lock:
        study.claim(lock, spec(), SPACE, compose)
        ready.set()
        multiprocessing.Event().wait(60)


def test_kill_dash_nine_lets_go_of_the_claim(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_claim_and_wait, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60)
    study = open_study(tmp_path)
    study.requeue_stale()
    assert study.used() == 1
    process.kill()
    process.join()
    study.requeue_stale()
    assert study.used() == 0
    assert study.study.trials[-1].state == TrialState.WAITING


def test_a_diverged_candidate_is_a_result(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    with FileLease(study.folder / "workers") as lock:
        claim = claim_one(study, lock)
        study.tell(claim.trial.number, trained(claim.candidate, verdict="diverged"))
    (record,) = study.records()
    assert (record.state, record.perplexity, record.reason) == ("diverged", None, "diverged at step 3")
    # The sampler learns that it is no better than counting tokens.
    assert study.study.trials[0].values[0] == 200.0
    front = build_front(study.records(), study.objective, Reference(200.0, {"latency_s": 5.0, "flops": 18.0}))
    assert front.points == ()
    assert front.diverged == (record,)


def test_queued_points_come_first_and_a_plain_sweep_ends_with_them(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    points = [{"norm": n, "ffn": "fused", "lr": 0.001} for n in ("none", "layernorm")]
    study.enqueue(points)
    study.enqueue(points)
    with FileLease(study.folder / "workers") as lock:
        norms = []
        while claim := study.claim(lock, spec(99), SPACE, compose, only_queued=True):
            norms.append(claim.candidate.architecture.layers[0].norm)
            study.tell(claim.trial.number, trained(claim.candidate))
    assert norms == ["none", "layernorm"]


def test_a_queued_point_survives_a_death_while_asking(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    point = {"norm": "none", "ffn": "fused", "lr": 0.002}
    study.enqueue([point])
    study.study.ask()  # and the worker dies before it has drawn anything
    study.requeue_stale()
    with FileLease(study.folder / "workers") as lock:
        claim = claim_one(study, lock)
    assert claim.candidate.recipe.lr == 0.002
    assert claim.candidate.overrides == ("norm=none", "ffn=fused", "lr=0.002")


def test_what_could_not_be_built_is_counted_with_its_reason(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    study.enqueue([{"norm": n, "ffn": "broken", "lr": 0.001} for n in ("none", "layernorm")])
    with FileLease(study.folder / "workers") as lock:
        assert study.claim(lock, spec(), SPACE, compose, only_queued=True) is None
    assert study.invalid() == {"ffn=broken cannot be built": 2}


def test_a_candidate_that_is_told_while_it_is_taken_for_lost_is_not_lost(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    with study.registry.enter() as worker:
        claim = study.claim(worker, spec(), SPACE, compose)
        assert claim is not None
    settled = study._settled

    def told_meanwhile(trial: FrozenTrial) -> bool:
        """Its worker was cut off, and is back."""
        open_study(tmp_path).tell(trial.number, trained(claim.candidate))
        return settled(trial)

    study._settled = told_meanwhile  # type: ignore[method-assign]
    study.requeue_stale()
    (record,) = study.records()
    assert (record.number, record.state) == (claim.trial.number, "finished")


def test_a_result_that_no_database_knows_of_is_told_and_not_trained_again(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    with study.registry.enter() as worker:
        claim = study.claim(worker, spec(), SPACE, compose)
        assert claim is not None
        claim.folder.mkdir(parents=True)
        trained(claim.candidate).write(claim.folder)
    forgotten = tmp_path / "forgotten"
    shutil.copytree(tmp_path / "studies", forgotten / "studies")
    again = open_study(forgotten)
    with again.registry.enter() as worker:
        other = again.claim(worker, spec(), SPACE, compose)
    assert other is not None
    assert other.candidate.identity != claim.candidate.identity
    assert [r.candidate for r in again.records() if r.state == "finished"] == [claim.candidate.identity]
