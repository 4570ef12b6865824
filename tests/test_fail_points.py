"""A search or an export that ends as by `kill -9` at any write goes on to the very numbers of one left alone.

So does a search whose machine has a clock that jumps.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from aero_search import fail_points
from aero_search.cli import main
from aero_search.fail_points import POINTS, VARIABLE

EXPORT = tuple(point for point in POINTS if point.startswith("export"))
STARTED = time.time()
# Passed by the default suite too.
FAST = ("checkpoint.safetensors written", "trial told")
SEARCHED = [
    pytest.param(point, marks=() if point in FAST else pytest.mark.long)
    for point in POINTS
    if point not in EXPORT
]
EXPORTED = [
    pytest.param(point, marks=pytest.mark.slow if point == "export partial@4" else pytest.mark.long)
    for point in (*EXPORT, "export partial@4", "folded.safetensors partial")
]


def in_a_child(
    folder: Path, arguments: Sequence[str], point: str = "", clock: Callable[[], float] = time.time
) -> int:
    """Run a command in a forked process that ends at the point; its exit code, negative for a signal.

    Args:
        clock: what the process takes for the time of day.
    """
    # A fresh interpreter would take longer to import torch than to search.
    child = multiprocessing.get_context("fork").Process(target=_run, args=(folder, arguments, point, clock))
    child.start()
    child.join(600)
    assert child.exitcode is not None
    return child.exitcode


def _run(folder: Path, arguments: Sequence[str], point: str, clock: Callable[[], float]) -> None:
    from aero_search.training import checkpoint

    # A training of a second leaves checkpoints too.
    checkpoint.EVERY_SECONDS = checkpoint.REST = 0.0
    checkpoint.LOOK_EVERY = 4
    os.chdir(folder)
    os.environ[VARIABLE] = point
    time.time = clock
    code = main(arguments)
    sys.stdout.flush()
    os._exit(code)


@pytest.fixture(scope="module")
def search(tiny: list[str]) -> list[str]:
    given = [o for o in tiny if not o.startswith(("recipe.steps", "recipe.validate"))]
    kept = ["search.n_trials=2", "search.workers=1", "tracking=none", "study.name=mine"]
    # One point to start with: what is lost goes to the end of the queue, and a budget may end before it.
    return ["search", "space=tiny", *kept, *given, "recipe.steps=12", "recipe.validate_every=6"]


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory: pytest.TempPathFactory, search: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("left_alone")
    assert in_a_child(folder, search) == 0
    return folder


def perplexities(folder: Path) -> dict[str, float]:
    """By candidate, of every training that has ended; each result with the weights it was measured on."""
    results = sorted(folder.glob("outputs/studies/mine/candidates/*/result.json"))
    return {path.parent.name: json.loads(path.read_text())["perplexity"] for path in results}


def weights(folder: Path) -> dict[str, bytes]:
    files = folder.glob("outputs/studies/mine/candidates/*/weights.safetensors")
    return {path.parent.name: path.read_bytes() for path in files}


@pytest.mark.parametrize("point", SEARCHED)
def test_a_search_killed_at_a_point_ends_as_one_left_alone(
    point: str, left_alone: Path, search: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert in_a_child(tmp_path, search, point) == -signal.SIGKILL
    assert in_a_child(tmp_path, search) == 0
    assert "2 trained" in capfd.readouterr().out
    assert len(perplexities(tmp_path)) == 2
    assert perplexities(tmp_path) == perplexities(left_alone)
    assert weights(tmp_path) == weights(left_alone)
    left = [path.name for path in tmp_path.glob("outputs/**/*partial")]
    assert not left, "half a file was left behind"


@pytest.mark.slow
@pytest.mark.parametrize("hours", [-1, 1000])
def test_a_clock_that_jumps_at_every_look_changes_no_number(
    hours: int, left_alone: Path, search: list[str], tmp_path: Path
) -> None:
    looks = itertools.count()
    assert in_a_child(tmp_path, search, clock=lambda: STARTED + 3600 * hours * next(looks)) == 0
    assert perplexities(tmp_path) == perplexities(left_alone)
    assert weights(tmp_path) == weights(left_alone)
    assert in_a_child(tmp_path, ["front", "study=mine"]) == 0


@pytest.mark.parametrize("point", EXPORTED)
def test_an_export_killed_at_a_point_is_whole_after_the_next(
    point: str, left_alone: Path, tmp_path: Path
) -> None:
    shutil.copytree(left_alone / "outputs", tmp_path / "outputs")
    export = ["export", "study=mine", "pick=best"]
    assert in_a_child(tmp_path, export, point) == -signal.SIGKILL
    assert in_a_child(tmp_path, export) == 0
    assert in_a_child(tmp_path, ["verify", "outputs/exports/mine-best"]) == 0
    assert not list(tmp_path.glob("outputs/exports/*.partial"))


def test_a_point_does_nothing_where_it_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(fail_points, "_passed", {})
    kill: Callable[[int, int], None] = lambda _, number: ended.append(number)  # noqa: E731  # typed
    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.delenv(VARIABLE, raising=False)
    fail_points.passes("trial told")
    monkeypatch.setenv(VARIABLE, "trial told@2")
    fail_points.passes("trial asked")
    fail_points.passes("trial told")
    assert ended == []
    fail_points.passes("trial told")
    assert ended == [signal.SIGKILL]
