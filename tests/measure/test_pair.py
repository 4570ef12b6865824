"""Two real processes: what they send, what each gets to see, and what is left when one of them dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from aero_search.cost.network import Network
from aero_search.errors import AeroSearchError
from aero_search.measure.mailbox import read_arrays
from aero_search.measure.pair import run_pair
from tests.measure.processes import listening, parties, wait_until_gone

pytestmark = pytest.mark.mpc
PROGRAMS = Path(__file__).parent / "parties"
CODE = (PROGRAMS,)
LOOPBACK = "0100007F"


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=256).astype(np.float32)


def test_two_processes_send_what_the_simulator_sends(tmp_path, x):
    result = run_pair(
        "pair_programs:relu_twice",
        tmp_path / "pair",
        client={"x": x},
        server={"w": np.ones(3, np.float32)},
        code_folders=CODE,
        timeout_s=200,
    )
    assert np.abs(result.client.arrays("opened")["y"] - np.maximum(x, 0)).max() < 1e-4
    np.save(tmp_path / "x.npy", x)
    simulated = subprocess.run(
        [sys.executable, str(PROGRAMS / "simulated_relu.py"), str(tmp_path / "x.npy")],
        capture_output=True, text=True, check=True, timeout=600,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    read = json.loads(simulated.stdout.splitlines()[-1])
    server, client = result.server.runs, result.client.runs
    assert [[r.total.bytes_sent, r.total.bytes_received, r.total.messages] for r in server] == read
    assert [r.total.bytes_sent for r in server] == [r.total.bytes_received for r in client]
    # Steady state: 98.5 bytes an element, as the shipped protocol says.
    assert server[1].total.bytes == 256 * 98.5
    assert {o.operation for o in server[1].operations} >= {"pphlo.less", "pphlo.multiply"}
    assert sum(o.bytes for o in server[1].operations) == server[1].total.bytes


def test_a_party_gets_only_what_it_owns(tmp_path):
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(4, 16)).astype(np.float32), rng.normal(size=(16, 8)).astype(np.float32)
    result = run_pair(
        "pair_programs:private_product", tmp_path, client={"x": x}, server={"w": w}, code_folders=CODE
    )
    assert np.abs(result.client.arrays("opened")["y"] - x @ w).max() < 1e-2
    assert set(read_arrays(tmp_path / "server" / "owned.npz")) == {"w"}
    assert set(read_arrays(tmp_path / "client" / "owned.npz")) == {"x"}
    assert not (tmp_path / "server" / "opened.npz").exists()
    assert not list(tmp_path.rglob("*.pkl"))


def test_nothing_listens_beyond_this_machine(tmp_path):
    seen: set[str] = set()

    class SeenError(Exception):
        pass

    def look(role, event):
        if "ready" in event:
            for pid in [os.getpid(), *parties(tmp_path)]:
                seen.update(listening(pid))
            raise SeenError

    with pytest.raises(SeenError):
        run_pair(
            "pair_programs:forever",
            tmp_path,
            network=Network("slow", 1000, 2),
            listener=look,
            code_folders=CODE,
        )
    assert seen == {LOOPBACK}
    assert not wait_until_gone(tmp_path)


@pytest.mark.parametrize("victim", ["server", "client"])
def test_a_killed_party_ends_the_run(tmp_path, victim):
    killed: list[float] = []

    def kill(role, event):
        if role == "client" and "ready" in event:
            (pid,) = parties(tmp_path / victim)
            killed.append(time.monotonic())
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(AeroSearchError, match=f"the {victim} of the private run was killed by SIGKILL"):
        run_pair("pair_programs:forever", tmp_path, listener=kill, code_folders=CODE, timeout_s=120)
    assert killed
    assert not wait_until_gone(tmp_path, 0)
    # No lock is left: the same folder's parent serves the next run.
    with pytest.raises(AeroSearchError, match="made of cheese"):
        run_pair("pair_programs:broken_server", tmp_path / "next", code_folders=CODE, timeout_s=120)


def test_a_run_that_takes_too_long_is_ended(tmp_path):
    with pytest.raises(AeroSearchError, match="not done after 8 s"):
        run_pair("pair_programs:idle_client", tmp_path, code_folders=CODE, timeout_s=8)
    assert not wait_until_gone(tmp_path, 0)


def test_parties_do_not_outlive_their_starter(tmp_path):
    script = (
        "import sys; from pathlib import Path; from aero_search.measure.pair import run_pair\n"
        "run_pair('pair_programs:idle_client', Path(sys.argv[1]), code_folders=(Path(sys.argv[2]),))"
    )
    starter = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), str(PROGRAMS)])
    deadline = time.monotonic() + 600
    while not all((tmp_path / role / "events.jsonl").exists() for role in ("server", "client")):
        assert starter.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(parties(tmp_path)) == 2
    starter.kill()
    starter.wait()
    assert not wait_until_gone(tmp_path)
