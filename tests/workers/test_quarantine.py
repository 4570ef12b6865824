"""Candidates that kill their workers: given up when they did so without getting further, and only they."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from optuna.trial import TrialState

from aero_search.search.study import Study
from aero_search.search.study_runner import WorkerDiedError, keep_going
from tests.search.fakes import SPACE, compose, open_study, spec, trained


def die_with(study: Study, n_trials: int = 6) -> str:
    """A worker that claims and is gone. Returns what it held."""
    with study.registry.enter() as worker:
        claim = study.claim(worker, spec(n_trials), SPACE, compose)
    assert claim is not None
    return claim.candidate.identity


def finish(study: Study, n_trials: int = 6) -> list[str]:
    identities = []
    with study.registry.enter() as worker:
        while claim := study.claim(worker, spec(n_trials), SPACE, compose):
            identities.append(claim.candidate.identity)
            study.tell(claim.trial.number, trained(claim.candidate))
    return identities


def test_what_killed_two_workers_is_given_up_with_its_reason(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    assert die_with(study) == die_with(study)
    others = finish(study)
    ((number, reason),) = study.quarantined().items()
    assert reason == "2 workers died of it and none got further than the one before"
    given_up = study.study.trials[number]
    assert given_up.state == TrialState.FAIL
    assert study.given_up() == [(f"{given_up.user_attrs['notation']}  #{number}", reason)]
    # The budget is trained without it, and it is not tried again.
    assert len(others) == 6
    assert given_up.user_attrs["candidate"] not in others


def test_one_death_is_no_fault(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    lost = die_with(study)
    assert finish(study)[0] == lost
    assert study.quarantined() == {}


def test_getting_further_begins_the_count_anew(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    for life in range(5):
        folder = study.candidate_folder(die_with(study))
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint = folder / "checkpoint.safetensors"
        checkpoint.touch()
        os.utime(checkpoint, (1e9 + life, 1e9 + life))
    assert len(finish(study)) == 6
    assert study.quarantined() == {}


def test_what_dies_beside_others_is_not_blamed(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    for _ in range(3):
        with study.registry.enter() as one, study.registry.enter() as two:
            held = [study.claim(worker, spec(), SPACE, compose) for worker in (one, two)]
        assert None not in held
        study.requeue_stale()
    assert study.quarantined() == {}
    assert len(finish(study)) == 6


@pytest.mark.parametrize("workers", [1, 2])
def test_a_search_with_two_that_kill_goes_on_to_its_end(tmp_path: Path, workers: int) -> None:
    study = open_study(tmp_path)
    points = [
        {"norm": norm, "ffn": "fused", "lr": lr}
        for lr in (1e-3, 2e-3, 3e-3)
        for norm in ("none", "layernorm")
    ]
    study.enqueue(points)
    killers = {
        study.candidate_folder(compose([f"{k}={v}" for k, v in p.items()]).identity).name for p in points[1:3]
    }
    launched: list[int] = []

    def launch(count: int, limit: int | None = None) -> None:
        """As joblib: when one worker dies, all do."""
        launched.append(count)
        alive = [study.registry.enter() for _ in range(count)]
        for worker in alive:
            worker.__enter__()
        try:
            taken = 0
            while limit is None or taken < limit:
                held = [study.claim(worker, spec(6), SPACE, compose) for worker in alive]
                claims = [claim for claim in held if claim is not None]
                taken += len(claims)
                if any(claim.candidate.identity in killers for claim in claims):
                    raise WorkerDiedError("killed")
                for claim in claims:
                    study.tell(claim.trial.number, trained(claim.candidate))
                if not claims:
                    return
        finally:
            for worker in alive:
                worker.__exit__()

    keep_going(study, lambda: study.left(spec(6)), workers, launch, lambda count: launch(1, count))
    given_up = {study.study.trials[number].user_attrs["candidate"] for number in study.quarantined()}
    assert given_up == killers
    assert study.completed() == study.used() == 6
    assert launched[0] == workers
