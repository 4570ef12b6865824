"""`aero-search calibrate source=spu`: one command to a protocol that every command knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from aero_search.cli import main
from aero_search.config.paths import conf_dir
from aero_search.cost.protocol import Protocol
from aero_search.measure import environment, readings
from aero_search.measure.benchmarks import items
from aero_search.measure.environment import Environment, machine
from aero_search.schema import from_mapping
from tests.measure.synthetic import fake_run_pair, scaled


@pytest.fixture
def config(tmp_path, monkeypatch) -> Path:
    """The user's configuration folder, in a path that Hydra's grammar has to be told about."""
    folder = tmp_path / "my, own 'folder' [1]"
    monkeypatch.setenv("AERO_SEARCH_CONFIG", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def twice(monkeypatch) -> Protocol:
    """A machine on which everything costs twice what the shipped protocol says."""
    text = (conf_dir() / "protocol" / "spu_cheetah_0_9_5.yaml").read_text()
    shipped = from_mapping(Protocol, yaml.safe_load(text), "protocol")
    truth = scaled(shipped, dict.fromkeys(shipped.primitives, 2.0))
    here = Environment(Path("python"), {"spu": "0.9.5", "jax": "0.4.34", "python": "3.11.7"})
    monkeypatch.setattr(environment, "find_environment", lambda python: here)
    monkeypatch.setattr(readings, "run_pair", fake_run_pair(truth, []))
    return truth


def test_what_is_written_serves_at_once(config, twice, capsys, tmp_path):
    assert main(["calibrate", "source=spu", "name=mine"]) == 0
    printed = capsys.readouterr().out
    assert "softmax_broadcast" in printed
    assert "use it: aero-search cost protocol=mine" in printed
    text = (config / "protocol" / "mine.yaml").read_text()
    assert machine() in text
    assert "Software: spu 0.9.5, jax 0.4.34" in text
    assert text.count("largest error") > 30
    costs = []
    for name in ("mine", "spu_cheetah_0_9_5"):
        assert main(["cost", f"protocol={name}", "network=wan", "format=json"]) == 0
        costs.append(json.loads(capsys.readouterr().out))
    mine, shipped = costs
    assert mine["protocol"] == "mine"
    for part in ("bytes", "rounds"):
        total = [c["communication_bytes"]["total"] if part == "bytes" else c["rounds"] for c in costs]
        assert total[0] == pytest.approx(2 * total[1], rel=0.01)
    assert mine["latency_seconds"]["compute"] == pytest.approx(
        2 * shipped["latency_seconds"]["compute"], rel=0.01
    )
    # A second time nothing is read again.
    assert main(["calibrate", "source=spu", "name=mine"]) == 0
    planned = len(items(twice))
    assert f"{planned} micro-benchmarks, {planned} of them read before" in capsys.readouterr().out


def test_a_folder_of_its_own(config, twice, capsys, tmp_path):
    assert main(["calibrate", "source=spu", "name=mine", "to=my folder"]) == 0
    assert not config.exists()
    assert "--config-dir 'my folder' protocol=mine" in capsys.readouterr().out
    assert main(["cost", "--config-dir", "my folder", "protocol=mine", "format=json"]) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["name=wan_link", "protocol=aero_paper"], "protocol=aero_paper has"),
        (["name=spu_semi2k"], "name=spu_semi2k is a shipped protocol"),
        (["name=../x"], "name=../x must be letters"),
        (["measure.python=nowhere/python"], "measure.python=nowhere/python is not a Python interpreter"),
    ],
)
def test_requests_that_cannot_be(config, capsys, arguments, sentence):
    assert main(["calibrate", "source=spu", *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert not config.exists()
