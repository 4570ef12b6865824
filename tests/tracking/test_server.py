"""A search whose tracking server is killed halfway, and the server's record completed afterwards."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aero_search.tracking.journal import journals
from tests.tracking.records import record_of
from tests.tracking.servers import Server

pytestmark = pytest.mark.slow
# Their values are seconds of this machine.
TIMES = frozenset({"seconds"})


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "aero_search", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    out, said = process.communicate(timeout=600)
    assert process.returncode == code, said[-2000:]
    return out, said


def wait_for(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 600
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def comparable(record: dict[str, Any]) -> list[tuple[str, Any]]:
    """What two equal searches have in common: of the parent the last values, for it is told when someone looks."""
    kept = []
    for number, (name, run) in enumerate(record.items()):
        artifacts = [path for path, _ in run["artifacts"]]
        metrics = run["metrics"]
        if number == 0:
            metrics = {metric: points[-1] for metric, points in metrics.items()}
        kept.append((name, {**run, "artifacts": artifacts, "metrics": metrics}))
    return kept


def test_a_server_killed_halfway_misses_nothing_in_the_end(tmp_path: Path, tiny: list[str]) -> None:
    from mlflow import MlflowClient

    with Server(tmp_path) as server:
        line = [
            "search",
            "study.name=s",
            "search.n_trials=4",
            "search.workers=1",
            f"tracking.uri={server.uri}",
            *tiny,
        ]
        client = MlflowClient(tracking_uri=server.uri)
        finished(start(tmp_path / "calm", *line))
        [undisturbed] = client.search_runs(["1"], "tags.`aero.kind` = 'study'")

        folder = tmp_path / "cut"
        search = start(folder, *line)
        wait_for(lambda: len(list(folder.glob("outputs/studies/s/candidates/*/result.json"))) > 1, search)
        server.kill()
        _, said = finished(search)
        assert len(re.findall("aero.search sync", said)) == 1, said
        assert said.count("tracking store") == 1, said
        [journal] = journals(folder / "outputs")
        waited = journal.count()
        assert waited > 4

        _, said = finished(start(folder, "sync"), code=1)
        assert f"0 sent, {waited} still wait" in said
        with server:
            sync = start(folder, "sync")
            wait_for(lambda: journal.count() < waited - 2, sync)
            os.kill(sync.pid, signal.SIGKILL)
            sync.communicate()
            assert 0 < journal.count() < waited
            out, _ = finished(start(folder, "sync"))
            assert "its record is complete" in " ".join(out.split())
            assert journals(folder / "outputs") == []
            assert "all runs uploaded" in finished(start(folder, "sync"))[0]
            runs = client.search_runs(["1"], "tags.`aero.kind` = 'study'")
            assert len(runs) == 2
            [completed] = [run for run in runs if run.info.run_id != undisturbed.info.run_id]
            calm, cut = (
                comparable(record_of(client, run.info.run_id, TIMES)) for run in (undisturbed, completed)
            )
            assert len(calm) == 5
            assert cut == calm


def test_doctor_says_what_waits(tmp_path: Path, tiny: list[str]) -> None:
    # Nothing listens on port 9.
    _, said = finished(start(tmp_path, "train", "tracking.uri=http://127.0.0.1:9", *tiny))
    assert len(re.findall("aero.search sync", said)) == 1
    out = " ".join(finished(start(tmp_path, "doctor", "format=json"))[0].split())
    assert "operations wait for http://127.0.0.1:9" in out
    assert "aero_search sync" in out
