"""One search of the app, under any launcher, on a PostgreSQL of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from optuna import load_study
from optuna.trial import FrozenTrial, TrialState

from tests.workers.postgresql import PASSWORD, Server

ROOT = Path(__file__).resolve().parents[2]
N_TRIALS, WORKERS = 12, 2


class Searching:
    """The search in a process of its own."""

    def __init__(
        self, folder: Path, server: Server, *overrides: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.server = server
        self._calls = folder / "calls"
        self._calls.mkdir(exist_ok=True)
        paths = os.pathsep.join([str(ROOT), *sys.path])
        self._log = (folder / "log").open("w+")
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "tests.launchers.app", "--multirun", "hydra/sweeper=aero_search",
                f"calls={self._calls}", "x=interval(0,1)", "hydra.sweeper.study_name=launched",
                f"hydra.sweeper.n_trials={N_TRIALS}", f"hydra.sweeper.workers={WORKERS}", *overrides,
                f"hydra.sweeper.storage={server.address}", "hydra.sweeper.heartbeat=1",
            ],
            cwd=folder,
            env={**os.environ, **(environment or {}), "PYTHONPATH": paths, "PGPASSWORD": PASSWORD},
            stdout=self._log,
            stderr=self._log,
        )  # fmt: skip

    def __enter__(self) -> Searching:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._log.close()

    def begun(self) -> list[list[str]]:
        """x, process, Slurm's job and Ray's node of every call that was begun."""
        path = self._calls / "begun"
        return [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []

    def ended(self) -> list[str]:
        """x of every call that ended."""
        path = self._calls / "ended"
        return path.read_text().split() if path.exists() else []

    def wait_for(self, calls: int) -> None:
        """Until so many calls have begun."""
        deadline = time.monotonic() + 600
        while len(self.begun()) < calls:
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.1)

    def finish(self) -> list[FrozenTrial]:
        """Wait for its end; every trial of the budget, each called to the end exactly once. Returns them."""
        assert self.process.wait(timeout=600) == 0, self.output()
        url = self.server.address.replace("postgresql", "postgresql+psycopg", 1)
        trials = load_study(study_name="launched", storage=url).trials
        done = [t for t in trials if t.state == TrialState.COMPLETE]
        assert len(done) == N_TRIALS
        assert {t.state for t in trials} <= {TrialState.COMPLETE, TrialState.FAIL}
        assert sorted(self.ended()) == sorted(str(t.params["x"]) for t in done)
        return trials

    def output(self) -> str:
        self._log.flush()
        self._log.seek(0)
        return self._log.read()[-4000:]
