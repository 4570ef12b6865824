"""Real searches with rungs and further seeds: stopped, killed, gone on, confirmed, refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.test_search_end_to_end import aero, front

pytestmark = pytest.mark.slow

# So early and so sure of itself that tiny trainings of a second give it something to stop.
RUNGS = [
    "search/rungs=dominance",
    "search.rungs.first=0.1",
    "search.rungs.chance=0.49",
    "search.confirm=1",
    "search.n_trials=6",
    "search.workers=1",
    "recipe.validate_every=6",
    "tracking=none",
]


def outcome(document: dict[str, Any]) -> dict[str, Any]:
    """What became of every candidate, without times and trial numbers."""
    return {
        entry["key"]: (kind, entry["state"], entry["perplexity"], entry.get("rung"), _seeds(entry))
        for kind in ("front", "dominated", "stopped", "diverged")
        for entry in document[kind]
    }


def _seeds(entry: dict[str, Any]) -> Any:
    return entry.get("seeds", {}).get("perplexity")


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory, tiny: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("rungs")
    out = " ".join(aero(folder, "search", "study.name=one", *tiny, *RUNGS).split())
    assert "stopped at a rung after" in out
    assert "on front" in out
    return folder


def test_stopped_candidates_keep_checkpoint_and_curve_and_the_front_its_seeds(studied: Path) -> None:
    document = front(studied, "one")
    assert document["stopped"]
    assert len(outcome(document)) == 6
    for entry in document["stopped"]:
        folder = studied / entry["folder"]
        files = {path.name for path in folder.iterdir()}
        assert {"checkpoint.safetensors", "result.json"} <= files
        assert "weights.safetensors" not in files
        result = json.loads((folder / "result.json").read_text())
        assert (result["verdict"], result["steps"]) == ("stopped", entry["rung"]["step"])
        assert result["perplexity"] == entry["rung"]["perplexity"]
        assert len(result["curve"]) == entry["rung"]["step"] // 6
    for entry in document["front"]:
        assert len(entry["seeds"]["perplexity"]) == 2
        assert 0 < entry["seeds"]["probability"] <= 1
        assert entry["seeds"]["low"] < entry["perplexity"] < entry["seeds"]["high"]
    study = studied / "outputs" / "studies" / "one"
    assert "stopped at a rung" in (study / "front.svg").read_text()


def test_the_same_command_again_trains_nothing(studied: Path, tiny: list[str]) -> None:
    before = {
        path: path.stat().st_mtime_ns for path in studied.glob("outputs/studies/one/candidates/*/result.json")
    }
    aero(studied, "search", "study.name=one", *tiny, *RUNGS)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_killed_again_and_again_it_ends_the_same(studied: Path, tmp_path: Path, tiny: list[str]) -> None:
    command = [sys.executable, "-m", "aero_search", "search", "study.name=one", *tiny, *RUNGS]
    candidates = tmp_path / "outputs" / "studies" / "one" / "candidates"
    for kills in (1, 4):
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + 600
        while len(list(candidates.glob("*/result.json"))) < kills and time.monotonic() < until:
            time.sleep(0.02)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    aero(tmp_path, "search", "study.name=one", *tiny, *RUNGS)
    assert outcome(front(tmp_path, "one")) == outcome(front(studied, "one"))


def test_rungs_turned_off_train_the_stopped_to_their_end(
    studied: Path, tmp_path: Path, tiny: list[str]
) -> None:
    aero(tmp_path, "search", "study.name=one", *tiny, *RUNGS, "search.confirm=0")
    stopped = {entry["key"] for entry in front(tmp_path, "one")["stopped"]}
    assert stopped
    plain = [line for line in RUNGS if "rungs" not in line]
    aero(tmp_path, "search", "study.name=one", *tiny, *plain, "search.confirm=0")
    document = front(tmp_path, "one")
    assert not document["stopped"]
    assert len(outcome(document)) == 6
    assert not list(tmp_path.glob("outputs/studies/one/candidates/*/checkpoint.safetensors"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["search/rungs=ahsa"], "did you mean 'asha'"),
        (["search/rungs=dominance", "search.rungs.chance=0.7"], "search.rungs.chance=0.7 must lie above 0"),
        (["search/rungs=asha", "search.rungs.eta=1"], "search.rungs.eta=1 must be above 1"),
        (["search.confirm=-1"], "search.confirm=-1 must be at least 0"),
        (["search.confirm=two"], "search.confirm"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(
    tmp_path: Path, tiny: list[str], arguments: list[str], sentence: str
) -> None:
    command = [sys.executable, "-m", "aero_search", "search", *tiny, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_plain_sweep_refuses_rungs(tmp_path: Path, tiny: list[str]) -> None:
    command = [sys.executable, "-m", "aero_search", "train", "--multirun", "norm=layernorm,none", *tiny]
    done = subprocess.run(
        [*command, "search/rungs=asha"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "search/rungs=asha belongs to the command search" in done.stderr
