"""The table as a task: what it answers, what it refuses, and a real search that a replay repeats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest

from aero_search.cli import main as aero_search
from aero_search.errors import RequestError
from aero_search.search.spec import RungsSpec, SamplerSpec, SearchSpec
from aero_search.workers.database import load_study
from aero_search.workers.trial_queue import FileLease
from benchmarks.simulator import StudySearcher, open_study, replay, simulate
from benchmarks.table import Table
from benchmarks.tabular.build import build
from benchmarks.tabular.networks import load_networks
from benchmarks.tabular.rows import Row, add, mend
from tests.benchmarks.test_simulator import story

SMALL = """
description: Six networks.
base: {recipe.steps: 60, recipe.validate_every: 15}
parameters:
  norm: {choices: [layernorm, none]}
  ffn: {choices: [full, fused]}
  activation: {choices: [gelu, relu], when: {ffn: full}}
"""


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def made_up(folder: Path, space: Path, left_out: Sequence[int] = ()) -> list[Row]:
    """A table of made-up trainings: the i-th network reaches 40 + i in 10 + i seconds, the last diverges."""
    folder.mkdir()
    mend(folder / "table.csv")
    (folder / "table.json").write_text(
        json.dumps({"corpus fingerprint": "none", "unigram_perplexity": 400.0, "runs": []})
    )
    rows = []
    names = list(load_networks(space).architectures)
    for i, name in enumerate(names):
        for seed in (1, 0):
            end, seconds = 40.0 + i + 10 * seed, 10.0 + i
            curve = tuple((15 * k, round(end * 4 / k, 4), seconds * k / 4) for k in (1, 2, 3, 4))
            row = Row(name, "x", seed, "finished", end, seconds, 60, 1, curve)
            if i == len(names) - 1:
                row = Row(name, "x", seed, "diverged", None, 2.0, 10, 1, ())
            if i not in left_out:
                add(folder / "table.csv", row)
                rows.append(row)
    return rows


def test_a_search_meets_the_lowest_seed(tmp_path: Path, space: Path) -> None:
    rows = made_up(tmp_path / "table", space)
    task = Table(tmp_path / "table", space)
    for row in rows:
        outcome = task.train(task.compose(row.overrides), 7)
        assert (outcome.verdict == "diverged") == (row.verdict == "diverged")
        if row.seed == 0:
            assert (outcome.perplexity, outcome.seconds, outcome.curve) == (
                row.perplexity,
                row.seconds,
                row.curve,
            )
    assert task.seconds == pytest.approx(sum(row.seconds for row in rows) / 2)


def test_a_whole_search_reaches_the_table_s_hypervolume(tmp_path: Path, space: Path) -> None:
    made_up(tmp_path / "table", space)
    task = Table(tmp_path / "table", space)
    for sampler in ("random", "known_cost"):
        done = replay(task, SearchSpec(SamplerSpec(sampler), 6, 2, 1, 0))  # type: ignore[arg-type]
        assert done.trained[-1] == 6
        assert done.hypervolumes[-1] == pytest.approx(task.best)
        assert done.lost == 1
        assert done.spent[-1] == pytest.approx(task.seconds)


def test_what_is_not_in_the_table_cannot_be_built(tmp_path: Path, space: Path) -> None:
    made_up(tmp_path / "table", space, left_out=[2])
    task = Table(tmp_path / "table", space)
    names = list(load_networks(space).architectures)
    with pytest.raises(RequestError, match="the table has no row with"):
        task.compose(names[2])
    done = replay(task, SearchSpec(SamplerSpec("known_cost"), 6, 1, 1, 0))
    assert done.trained[-1] == 5


def test_a_table_of_another_space_is_refused(tmp_path: Path, space: Path) -> None:
    made_up(tmp_path / "table", space)
    with pytest.raises(RequestError, match="which is not in"):
        Table(tmp_path / "table")
    with pytest.raises(RequestError, match="is no table"):
        Table(tmp_path, space)


@pytest.mark.slow
@pytest.mark.parametrize("rungs", ["none", "asha"])
def test_a_real_search_is_repeated_on_its_table(
    rungs: str, tmp_path: Path, space: Path, tiny: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same candidates in the same order, the same verdicts, the same curves to the table's last digit."""
    monkeypatch.chdir(tmp_path)
    overrides = [o for o in tiny if not o.startswith(("recipe.steps", "recipe.validate_every"))]
    assert build(tmp_path / "table", 1, overrides=overrides, space=space) == 0
    said = ["study.name=real", "search.n_trials=6", "search.workers=1", "search/sampler=known_cost"]
    said += ["search.sampler.n_startup=2", f"search/rungs={rungs}", "tracking=none", f"space={space}"]
    assert aero_search(["search", *said, *overrides]) == 0
    task = Table(tmp_path / "table", space, overrides)
    simulated = open_study(task, tmp_path / "simulated")
    search = SearchSpec(SamplerSpec("known_cost", n_startup=2), 6, 1, 1, 0, RungsSpec(rungs))  # type: ignore[arg-type]
    with FileLease(simulated.folder / "workers") as lock:
        simulate(task, StudySearcher(simulated, search, task, lock), 0, 1)
    told = [
        (identity, verdict, resumes, [(step, round(value, 4)) for step, value in curve])
        for identity, verdict, resumes, curve in _story(load_study(tmp_path / "outputs", "real")[0])
    ]
    assert told == [(i, v, r, [tuple(point) for point in c]) for i, v, r, c in story(simulated)]


def _story(study: optuna.Study) -> list[tuple[str, str, int | None, list[tuple[int, float]]]]:
    return [
        (
            trial.user_attrs["candidate"],
            trial.user_attrs["verdict"],
            trial.user_attrs.get("resumes"),
            [(step, value) for step, value in trial.user_attrs["curve"]],
        )
        for trial in study.get_trials(deepcopy=False)
        if "verdict" in trial.user_attrs
    ]
