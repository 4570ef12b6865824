"""The table of real trainings: its space, its lines on the disk, and how its building goes on after a stop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from aero_search.errors import AeroSearchError, RequestError
from aero_search.training.result import CurvePoint
from benchmarks.tabular import build as building
from benchmarks.tabular import trainings
from benchmarks.tabular.networks import load_networks
from benchmarks.tabular.rows import Row, add, mend, read_rows, remember

ROW = Row(
    overrides=("norm.layers=4", "ffn=full"),
    notation='SM + LN + G [norm="a,b"]',
    seed=0,
    verdict="finished",
    perplexity=42.5,
    seconds=61.25,
    steps=1200,
    parameters=123,
    curve=((150, 300.5, 7.5), (300, 200.25, 15.0)),
)
SMALL = """
description: Three networks.
base: {recipe.steps: 60, recipe.validate_every: 30}
parameters:
  ffn: {choices: [full, fused]}
  activation: {choices: [gelu, relu], when: {ffn: full}}
"""


def test_the_space_names_192_networks_each_once():
    networks = load_networks()
    assert len(networks.architectures) == len(set(networks.architectures.values())) == 192
    assert {a.n_layer for a in networks.architectures.values()} == {4}
    recipe = networks.request.recipe
    assert (recipe.steps, recipe.validate_every) == (1200, 150)
    assert {a.regularizer.every for a in networks.architectures.values() if a.regularizer.weight} == {4}


def test_a_space_that_names_a_network_twice_is_refused(tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text(
        "description: x\nparameters: {ffn: {choices: [fused]}, activation: {choices: [gelu, relu]}}"
    )
    with pytest.raises(RequestError, match="names one network twice"):
        load_networks(path)


@pytest.mark.parametrize("row", [ROW, replace(ROW, verdict="diverged", perplexity=None, curve=(), seed=1)])
def test_a_row_is_read_as_it_was_written(tmp_path, row):
    path = tmp_path / "table.csv"
    mend(path)
    add(path, row)
    assert read_rows(path) == [row]


def test_a_torn_line_is_dropped_and_whole_ones_stay(tmp_path):
    path = tmp_path / "table.csv"
    mend(path)
    add(path, ROW)
    whole = path.read_bytes()
    for cut in (1, len(ROW.line()) // 2, len(ROW.line()) - 1):
        path.write_bytes(whole + ROW.line().encode()[:cut])
        mend(path)
        assert path.read_bytes() == whole
    path.write_bytes(whole[:5])
    mend(path)
    assert read_rows(path) == []


def test_what_is_no_table_is_said(tmp_path):
    path = tmp_path / "table.csv"
    with pytest.raises(RequestError, match="is no table"):
        read_rows(path)
    path.write_text("a,b\n")
    with pytest.raises(RequestError, match="has the columns"):
        read_rows(path)
    for number, line in enumerate(("x,y,0,finished,abc,1,1,1,[]", "x,y,0,ended,50.0,1,1,1,[]")):
        mend(path_of_bad := tmp_path / f"bad{number}.csv")
        with path_of_bad.open("a") as file:
            file.write(line + "\n")
        with pytest.raises(RequestError, match="line 2 is not a training"):
            read_rows(path_of_bad)


def test_a_table_remembers_what_it_was_begun_with_and_who_built_it(tmp_path):
    path = tmp_path / "table.json"
    remember(path, {"recipe": {"steps": 1}}, {"workers": 1})
    remember(path, {"recipe": {"steps": 1}}, {"workers": 2})
    remember(path, {"recipe": {"steps": 1}}, {"workers": 1})
    assert json.loads(path.read_text())["runs"] == [{"workers": 2}, {"workers": 1}]
    with pytest.raises(RequestError, match="was begun with recipe="):
        remember(path, {"recipe": {"steps": 2}}, {"workers": 1})


def test_a_table_goes_on_where_models_have_gained_a_field(tmp_path):
    path = tmp_path / "table.json"
    remember(path, {"model": {"n_layer": 4}}, {})
    remember(path, {"model": {"n_layer": 4, "share_layers": 1}}, {})
    with pytest.raises(RequestError, match="model"):
        remember(path, {"model": {"n_layer": 4, "share_layers": 2}}, {})


def test_the_clock_notes_every_validation():
    clock = trainings.Clock(0.0)
    clock.validated(CurvePoint(10, None, 2.0, 7.4, 1.0), [])
    ((step, perplexity, seconds),) = clock.curve
    assert (step, perplexity) == (10, 7.4)
    assert seconds > 0


@pytest.mark.slow
def test_a_table_is_built_in_pieces(tmp_path: Path, tiny):
    space = tmp_path / "small.yaml"
    space.write_text(SMALL)
    overrides = [o for o in tiny if not o.startswith(("recipe.steps", "recipe.validate_every"))]
    folder = tmp_path / "table"
    assert building.build(folder, 1, only=1, overrides=overrides, space=space) == 3
    first = read_rows(folder / "table.csv")
    with (folder / "table.csv").open("a") as file:
        file.write("a torn li")
    assert building.build(folder, 2, overrides=overrides, space=space) == 0
    rows = read_rows(folder / "table.csv")
    assert rows[:1] == first
    # Three networks, and one of them again.
    assert len({row.overrides for row in rows}) == 3
    assert sorted(row.seed for row in rows) == [0, 0, 0, 1]
    for row in rows:
        # One that is still on the plateau half way is stopped there.
        assert [step for step, *_ in row.curve] == ([30] if row.verdict == "plateau" else [30, 60])
        assert row.steps == row.curve[-1][0]
        assert row.curve[-1][1] == pytest.approx(row.perplexity, abs=1e-4)
        assert 0 < row.curve[0][2] <= row.curve[-1][2] <= row.seconds + 0.01
    assert building.build(folder, 1, overrides=overrides, space=space) == 0
    assert read_rows(folder / "table.csv") == rows
    with pytest.raises(RequestError, match="was begun with recipe="):
        building.build(folder, 1, overrides=[*overrides, "recipe.lr=1e-3"], space=space)


@pytest.mark.slow
def test_a_dead_worker_ends_the_building_with_a_sentence(tmp_path, tiny, monkeypatch):
    space = tmp_path / "small.yaml"
    space.write_text(SMALL)
    monkeypatch.setattr(trainings, "train_row", _die)
    with pytest.raises(AeroSearchError, match="a worker died"):
        building.build(tmp_path / "table", 1, overrides=tiny[:7], space=space)


def _die(job):
    import os

    os._exit(9)
