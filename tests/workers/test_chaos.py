"""Workers killed with -9 every few seconds and a database that restarts: nothing is lost, nothing trained twice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState

from aero_search.training.result import RESULT_FILE
from tests.workers import chaos
from tests.workers.postgresql import PASSWORD, Server


@pytest.mark.parametrize(
    ("seconds", "pause", "n_trials"),
    [(15.0, 1.5, 24), pytest.param(120.0, 3.0, 200, marks=pytest.mark.long)],
    ids=["short", "two_minutes"],
)
def test_every_candidate_is_trained_once_whatever_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, pause: float, n_trials: int
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with Server() as server:
        chaos.prepare(server.address, tmp_path)
        command = [server.address, str(tmp_path), str(n_trials), str(pause), str(seconds)]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.workers.chaos", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        time.sleep(seconds / 2)
        server.stop()
        time.sleep(2)
        server.start()
        out, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors[-3000:]
        killed = int(out)
        assert killed > seconds / pause / 3

        study = chaos.open_study(server.address, tmp_path)
        trials = study.study.get_trials()
        assert {t.state for t in trials} <= {TrialState.COMPLETE, TrialState.FAIL, TrialState.WAITING}
        records = study.records()
        identities = [record.candidate for record in records]
        assert len(identities) == len(set(identities)) == n_trials
        assert all(record.state == "finished" for record in records)
        assert study.quarantined() == {}
        assert sum("orphan" in t.user_attrs for t in trials) > 0, "nobody was killed while training"

        folders = list((tmp_path / "candidates").iterdir())
        # Whatever was begun has its result, and it is told.
        assert {folder.name for folder in folders} == set(identities)
        assert all((folder / RESULT_FILE).is_file() for folder in folders)
        assert not list(tmp_path.glob("candidates/*/twice")), "trained to the end twice"
        assert not list(tmp_path.glob("candidates/*/together")), "trained by two at the same time"
        steps = [sorted(map(int, (folder / "steps").read_text().split())) for folder in folders]
        assert all(set(done) == set(range(1, chaos.STEPS + 1)) for done in steps)
        # A death repeats the one step that was not in the checkpoint, no more.
        assert sum(map(len, steps)) - chaos.STEPS * n_trials <= killed
