"""A study in PostgreSQL: claims from several sessions, silence, and a server that restarts."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from aero_search.errors import AeroSearchError, RequestError
from aero_search.search.study import Study
from aero_search.workers import database_registry as database_roster
from aero_search.workers import retrying_storage
from aero_search.workers.database import create_study, load_study, open_registry, open_storage, study_names
from aero_search.workers.worker_registry import ClaimLockLostError, ClaimLostError, StillMine
from tests.search.fakes import OBJECTIVE, SPACE, compose, price, spec, trained
from tests.workers.postgresql import PASSWORD, Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    patch = pytest.MonkeyPatch()
    patch.setenv("PGPASSWORD", PASSWORD)
    with Server() as running:
        yield running
    patch.undo()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


def open_shared(server: Server, folder: Path, name: str, heartbeat: float = 60.0) -> Study:
    """As another machine would: with a connection of its own."""
    storage = open_storage(folder, server.address)
    study = create_study(storage, name, OBJECTIVE.metrics)
    registry = open_registry(storage, name, folder, heartbeat)
    return Study(study, OBJECTIVE, folder / "studies" / name, price, registry=registry)


def test_two_machines_share_a_budget(server: Server, tmp_path: Path, name: str) -> None:
    machines = [open_shared(server, tmp_path, name) for _ in range(2)]
    trained_by: list[list[str]] = [[], []]
    with machines[0].registry.enter() as a, machines[1].registry.enter() as b:
        for i in range(6):
            study, worker = (machines[i % 2], (a, b)[i % 2])
            claim = study.claim(worker, spec(6), SPACE, compose)
            assert claim is not None
            trained_by[i % 2].append(claim.candidate.identity)
            study.tell(claim.trial.number, trained(claim.candidate))
        assert machines[0].claim(a, spec(6), SPACE, compose) is None
    assert not set(trained_by[0]) & set(trained_by[1])
    assert len(machines[0].records()) == len(machines[1].records()) == 6
    assert name in study_names(tmp_path, server.address)
    assert not (tmp_path / "optuna.db").exists()
    assert server.execute(f"SELECT name FROM aero_search_workers WHERE study = '{name}'") == []


def test_one_at_a_time_has_the_turn(server: Server, tmp_path: Path, name: str) -> None:
    registries = [open_shared(server, tmp_path, name).registry for _ in range(4)]
    inside, most = 0, 0

    def work(index: int) -> None:
        nonlocal inside, most
        for _ in range(5):
            with registries[index].claim_lock():
                inside += 1
                most = max(most, inside)
                time.sleep(0.01)
                inside -= 1

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def silence(server: Server, name: str) -> None:
    """As if the workers of a study had last been heard an hour ago, and the server run for longer."""
    server.execute(f"UPDATE aero_search_workers SET beat = beat - interval '1 hour' WHERE study = '{name}'")


def test_a_silent_worker_s_candidate_is_trained_again_and_what_it_tells_is_not_counted(
    server: Server, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, other = (open_shared(server, tmp_path, name) for _ in range(2))
    with study.registry.enter() as worker, other.registry.enter() as heir:
        lost = study.claim(worker, spec(), SPACE, compose)
        assert lost is not None
        # Everyone is silent, but the server too was not there to hear it.
        silence(server, name)
        assert other.registry.living([worker.name, heir.name]) == {worker.name, heir.name}
        long_ago = sa.func.now() - sa.text("interval '2 hours'")
        monkeypatch.setattr(database_roster, "_served_since", lambda: long_ago)
        server.execute(f"UPDATE aero_search_workers SET beat = clock_timestamp() WHERE name = '{heir.name}'")
        again = other.claim(heir, spec(), SPACE, compose)
        assert again is not None
        assert again.candidate.identity == lost.candidate.identity
        study.tell(lost.trial.number, trained(lost.candidate))
        assert other.records()[0].state == "running"
        other.tell(again.trial.number, trained(again.candidate))
        assert [record.number for record in study.records()] == [again.trial.number]


def test_a_worker_taken_for_dead_hears_of_it_and_stops(server: Server, tmp_path: Path, name: str) -> None:
    study = open_shared(server, tmp_path, name, heartbeat=0.05)
    with study.registry.enter() as worker:
        listener = StillMine(worker)
        listener.step(1, 3.0)
        server.execute(f"UPDATE aero_search_workers SET dead = true WHERE study = '{name}'")
        deadline = time.monotonic() + 600
        while not worker.lost:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with pytest.raises(ClaimLostError, match="another worker has taken this candidate over"):
            listener.step(2, 3.0)


def test_beats_keep_a_worker_alive_and_a_dead_one_stays_dead(
    server: Server, tmp_path: Path, name: str
) -> None:
    registry = open_shared(server, tmp_path, name, heartbeat=0.05).registry
    with registry.enter() as worker:
        silence(server, name)
        deadline = time.monotonic() + 600
        while server.execute(
            f"SELECT 1 FROM aero_search_workers WHERE study = '{name}' AND beat < now() - interval '1 minute'"
        ):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert registry.living([worker.name, "nobody"]) == {worker.name}
    assert registry.living([worker.name]) == set()


def test_a_restart_in_the_middle_of_a_claim_loses_nothing_and_doubles_nothing(
    server: Server, tmp_path: Path, name: str
) -> None:
    study, other = (open_shared(server, tmp_path, name) for _ in range(2))
    other_claims = []
    restarted = False

    def slow_compose(overrides: object) -> object:
        """The server restarts while this worker has the turn, and another takes a candidate meanwhile."""
        nonlocal restarted
        if not restarted:
            restarted = True
            server.stop()
            server.start()
            claim = other.claim(heir, spec(2), SPACE, compose)
            assert claim is not None
            other_claims.append(claim)
        return compose(overrides)  # type: ignore[arg-type]

    with study.registry.enter() as worker, other.registry.enter() as heir:
        claim = study.claim(worker, spec(2), SPACE, slow_compose)  # type: ignore[arg-type]
        assert claim is not None
        assert study.claim(worker, spec(2), SPACE, compose) is None
        assert claim.candidate.identity != other_claims[0].candidate.identity
        study.tell(claim.trial.number, trained(claim.candidate))
        other.tell(other_claims[0].trial.number, trained(other_claims[0].candidate))
    assert len(study.records()) == 2
    assert not study.training()
    assert study.study.trials[0].state == TrialState.FAIL  # what the lost turn had begun


def test_a_server_that_crashes_in_the_middle_of_transactions_is_outlived(
    server: Server, tmp_path: Path, name: str
) -> None:
    study = open_shared(server, tmp_path, name)
    stop, problems, done = threading.Event(), [], [0, 0, 0]

    def again_and_again(index: int, action: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                with contextlib.suppress(ClaimLockLostError):
                    action()
                done[index] += 1
        except Exception as problem:
            problems.append(problem)

    def turn() -> None:
        with study.registry.claim_lock():
            study.registry.living(["nobody"])

    actions = (study.study.ask, lambda: study.study._storage._backend.get_all_trials(1), turn)  # type: ignore[attr-defined]
    threads = [threading.Thread(target=again_and_again, args=(i, action)) for i, action in enumerate(actions)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(0.3)
        server.stop(immediate=True)
        server.start()
        before = list(done)
        deadline = time.monotonic() + 60
        while not problems and any(now <= then for now, then in zip(done, before, strict=True)):
            assert time.monotonic() < deadline, done
            time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    assert problems == []


def test_a_transaction_whose_connection_is_gone_counts_as_the_server_s_being_away() -> None:
    told = StorageInternalError("in the commit")
    told.__cause__ = sa.exc.PendingRollbackError("Can't reconnect until ...", code="8s2b")
    assert retrying_storage.away(told)
    # An earlier mistake in the same transaction.
    told.__cause__ = sa.exc.PendingRollbackError("rolled back due to a previous exception", code="7s2a")
    assert not retrying_storage.away(told)


def test_a_turn_that_did_not_last_says_so(server: Server, tmp_path: Path, name: str) -> None:
    registry = open_shared(server, tmp_path, name).registry
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'aero-search'"
    with pytest.raises(ClaimLockLostError), registry.claim_lock():
        server.execute(end)

    def trip_over_what_others_did() -> None:
        server.execute(end)
        raise ValueError("whatever another worker's turn made of ours")

    with pytest.raises(ClaimLockLostError), registry.claim_lock():
        trip_over_what_others_did()
    with pytest.raises(ValueError, match="our own"), registry.claim_lock():
        raise ValueError("our own")


def test_a_server_that_stays_away_is_given_up_after_a_while(
    server: Server, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = open_shared(server, tmp_path, name)
    monkeypatch.setattr(retrying_storage, "PATIENCE_SECONDS", 0.3)
    server.stop()
    try:
        with pytest.raises(AeroSearchError, match=r"has not answered for 0 s .*the same command resumes"):
            study.records()
        with pytest.raises(AeroSearchError, match="has not answered"):
            load_study(tmp_path, name, server.address, wait=True)
        with pytest.raises(RequestError, match=r"cannot be opened .*refused"):
            load_study(tmp_path, name, server.address)
    finally:
        server.start()
    assert study.records() == []


def test_a_wrong_password_is_not_waited_for(
    server: Server, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "wr0ng")
    with pytest.raises(RequestError, match="password authentication failed for user") as refused:
        open_storage(tmp_path, server.address, wait=True)
    assert "wr0ng" not in str(refused.value)


def test_a_study_that_is_not_there_is_named_with_its_address(
    server: Server, tmp_path: Path, name: str
) -> None:
    open_shared(server, tmp_path, name)
    with pytest.raises(
        RequestError, match=rf"study={name}x does not exist in search\.storage=.*did you mean"
    ):
        load_study(tmp_path, f"{name}x", server.address)
