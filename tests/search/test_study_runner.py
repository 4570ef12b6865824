"""The parent's side: deaths near the end lose nothing, and other settings are refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aero_search.cost import Network, calibrate_published
from aero_search.errors import AeroSearchError, RequestError
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference
from aero_search.search.study_runner import StudyRunner, WorkerDiedError
from aero_search.search.worker import Plan, Worker
from aero_search.tracking.spec import TrackingSpec
from aero_search.tracking.tracker import Tracker
from aero_search.workers.trial_queue import FileLease
from tests.search.fakes import OBJECTIVE, SPACE, compose, spec, trained

SETTINGS = {"model.n_layer": 2, "norm.kind": "none"}


def runner(
    folder: Path, settings: Mapping[str, Any] = SETTINGS, objective: Objective = OBJECTIVE
) -> StudyRunner:
    plan = Plan(
        name="test",
        output_dir=folder,
        objective=objective,
        protocol=calibrate_published().protocol,
        network=Network("test", bandwidth_mbps=1000.0, rtt_ms=1.0, source="none"),
        space=SPACE,
        search=replace(spec(3), workers=2),
        tracking=TrackingSpec("none", None, "test"),
        corpus_folder=folder,
    )
    return StudyRunner(
        plan, settings, (), Reference(200.0, {"latency_s": 5.0, "flops": 18.0}), "aero-search search"
    )


def run(parent: StudyRunner, launch: Callable[[Worker, int], None]) -> int:
    study = parent.prepare()
    parent.run(study, compose, launch, lambda *_: nullcontext())
    return len([record for record in study.records() if record.state == "finished"])


def train_some(worker: Worker, count: int | None = None) -> None:
    """A worker in this process that trains at most `count` candidates."""
    study = worker.plan.open_study()
    with FileLease(worker.plan.folder / "workers") as lock:
        while count is None or count > 0:
            claim = study.claim(lock, worker.plan.search, SPACE, compose)
            if claim is None:
                return
            study.tell(claim.trial.number, trained(claim.candidate))
            count = None if count is None else count - 1


@pytest.mark.parametrize("by_itself", [False, True])
def test_workers_that_die_with_the_last_claims_are_replaced(tmp_path: Path, by_itself: bool) -> None:
    launched = []

    def launch(worker: Worker, count: int) -> None:
        launched.append(count)
        if len(launched) == 1:
            train_some(worker, 1)
            study = worker.plan.open_study()
            with FileLease(worker.plan.folder / "workers") as lock:
                for _ in range(2):
                    assert study.claim(lock, worker.plan.search, SPACE, compose)
            raise WorkerDiedError("killed", by_itself)
        train_some(worker)

    assert run(runner(tmp_path), launch) == 3
    # Where one death ended both, one worker takes them alone, for the next death to tell which one kills.
    assert launched == ([2, 2] if by_itself else [2, 1])


def test_those_that_live_on_out_of_sight_are_not_replaced(tmp_path: Path) -> None:
    launched = []

    def launch(worker: Worker, count: int) -> None:
        launched.append(count)
        study = worker.plan.open_study()
        if len(launched) == 1:
            survivor.append(study.registry.enter(worker.launch_id).__enter__())
            claims.append(study.claim(survivor[0], worker.plan.search, SPACE, compose))
            raise WorkerDiedError("killed", by_itself=True)
        train_some(worker)
        study.tell(claims[0].trial.number, trained(claims[0].candidate))
        survivor[0].__exit__()

    survivor: list[Any] = []
    claims: list[Any] = []
    assert run(runner(tmp_path), launch) == 3
    assert launched == [2, 1]


def test_workers_that_always_die_end_the_search_with_a_sentence(tmp_path: Path) -> None:
    def launch(worker: Worker, count: int) -> None:
        raise WorkerDiedError("killed")

    with pytest.raises(AeroSearchError, match="workers died 6 times and finished nothing, last: killed"):
        run(runner(tmp_path), launch)


def test_a_study_is_resumed_with_the_same_settings_and_refuses_others(tmp_path: Path) -> None:
    assert run(runner(tmp_path), lambda worker, count: train_some(worker)) == 3
    assert run(runner(tmp_path), lambda worker, count: train_some(worker)) == 3
    with pytest.raises(RequestError, match=r"made with norm\.kind=none, not layernorm"):
        runner(tmp_path, {**SETTINGS, "norm.kind": "layernorm"}).prepare()


def test_another_objective_under_the_same_name_is_refused(tmp_path: Path) -> None:
    first = runner(tmp_path, {**SETTINGS, "objective.metrics": ["perplexity", "latency_s", "flops"]})
    run(first, lambda worker, count: train_some(worker))
    other = Objective(("perplexity", "latency_s"))
    with pytest.raises(RequestError, match=r"made with objective\.metrics"):
        runner(tmp_path, {**SETTINGS, "objective.metrics": ["perplexity", "latency_s"]}, other).prepare()


@pytest.mark.parametrize(("trainings", "status"), [(2, "KILLED"), (3, "FINISHED")])
def test_a_study_interrupted_while_it_confirms_is_finished(
    trainings: int, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    monkeypatch.setattr(Tracker, "finish_study", lambda _, run, status="FINISHED": told.append(status))

    def launch(worker: Worker, count: int) -> None:
        train_some(worker, trainings)
        raise KeyboardInterrupt

    parent = runner(tmp_path)
    parent = replace(parent, plan=replace(parent.plan, search=replace(parent.plan.search, confirm=1)))
    with pytest.raises(KeyboardInterrupt):
        run(parent, launch)
    assert told == [status]
