"""Real searches of tiny models by two commands that share a study in PostgreSQL, as two machines would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.workers.postgresql import PASSWORD, Server

pytestmark = pytest.mark.slow


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "aero_search", *arguments],
        cwd=folder,
        env={**{k: v for k, v in os.environ.items() if k != "PGPASSWORD"}, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_second_machine_joins_and_finishes_what_the_first_one_leaves(
    tmp_path: Path, tiny: list[str]
) -> None:
    with Server() as server:
        slow = [o for o in tiny if not o.startswith("recipe.steps")] + ["recipe.steps=300"]
        shared = ["study.name=shared", "search.n_trials=6", "search.workers=1", "search.heartbeat=0.5", *slow]
        said = server.address.replace("aero@", f"aero:{quote(PASSWORD, safe='')}@")
        first = start(tmp_path, "search", *shared, "tracking=none", f"search.storage={said}")
        candidates = tmp_path / "outputs/studies/shared/candidates"
        deadline = time.monotonic() + 600
        while not list(candidates.glob("*/result.json")):
            assert first.poll() is None, first.communicate()[1][-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        variables = {"PGPASSWORD": PASSWORD, "AERO_SEARCH_STORAGE": server.address}
        second = start(tmp_path, "search", *shared, "tracking=none", **variables)
        workers = "SELECT count(*) FROM aero_search_workers WHERE study = 'shared'"
        while server.execute(workers) != [(2,)]:
            assert second.poll() is None, second.communicate()[1][-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(first.pid, signal.SIGKILL)
        out, errors = second.communicate(timeout=600)
        assert second.returncode == 0, errors[-3000:]
        assert "6 trained" in out
        seen = start(tmp_path, "front", "study=shared", "format=json", **variables)
        document = json.loads(seen.communicate(timeout=600)[0])
        front = [entry for kind in ("front", "dominated", "diverged") for entry in document[kind]]
        assert len({entry["key"] for entry in front}) == 6
        assert not (tmp_path / "outputs" / "optuna.db").exists()
        assert len(list(candidates.glob("*/result.json"))) == 6
        # Nothing that was written knows the password, as it is or as it was typed.
        attributes = server.execute("SELECT value_json FROM study_user_attributes")
        written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        for secret in (PASSWORD, quote(PASSWORD, safe="")):
            assert not any(secret.encode() in data for data in written)
            assert secret not in str(attributes)
            assert secret not in out + errors
