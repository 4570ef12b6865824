"""Files of --config-dir and of space=: whatever is wrong with one is told by file and reason, exit code 2."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins

from aero_search.cli import main
from aero_search.config.config_files import ConfigFiles

FILES = {
    "network": {
        "3": "holds the value 3 where fields are meant",
        "- a\n- b": "holds a list where fields are meant",
        b"name: lan\nbandwidth_mbps: 1\xa400\nrtt_ms: 1\n": "line 2.: the byte 0xA4 is not UTF-8",
        "name: x\nrtt_ms: 1000\nrtt_ms: 5\nbandwidth_mbps: 1": "line 3.: the key rtt_ms stands twice",
        "defaults: ..": "defaults must be a list",
        "defaults: {a: b}": "defaults must be a list",
        "name: x\nrtt_ms 1\nbandwidth_mbps: 3": "line 3",
        "defaults: [mine]": "refers to itself without end",
        "defaults: [no_such_file]": "no_such_file",
        "# @package a b\nname: x": "Too many components",
        "name: x\nbandwidth_mbps: ${network.bandwidth_mbps}\nrtt_ms: 1": "network.bandwidth_mbps",
        "name: x\nbandwidth_mbps: ${nope:1}\nrtt_ms: 1": "nope",
        "name: ${": "mine.yaml has the interpolation",
        "true: 1": "the key True, which is no name",
        "": "network",
    },
    "objective": {
        "metrics: [p": "line",
        "defaults: [[a, b]]": "defaults has the entry",
        "defaults: [{a: 1}]": "defaults has the entry {'a': 1}",
        "defaults: [{a: b, c: d}]": "defaults has the entry",
        "defaults: ['']": "defaults has the entry",
        "metrics: [perplexity, flops]\nmetrics: [perplexity]": "stands twice",
        "\tmetrics: []": "cannot start any token",
        "metrics: 3": "metrics=3 must be a list",
        "defaults: [mine]\nmetrics: [perplexity, flops]": "refers to itself without end",
    },
    "ladder": {
        "rows: [a": "line",
        b"# \xff\nrows: []": "line 1.: the byte 0xFF",
    },
}
CASES = [(group, text, says) for group, cases in FILES.items() for text, says in cases.items()]


@pytest.mark.parametrize(("group", "text", "says"), CASES)
def test_a_file_of_a_group(
    group: str,
    text: str | bytes,
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine" / group / "mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    command = {"network": "cost", "objective": "plan", "ladder": "ablate"}[group]
    assert main([command, "--config-dir", "mine", f"{group}=mine"]) == 2
    err = capsys.readouterr().err
    assert re.search(says, err), err
    assert len(err.splitlines()) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            b"description: &d x\nparameters: &p\n  norm: {choices: [layernorm], when: *p}\n",
            "anchor or alias d|anchor or alias p",
        ),
        (b"base: {x:" + b"[" * 2000, "nested more than 32 deep"),
        (b"description: caf\xe9\n", "line 1.: the byte 0xE9"),
        (b"3", "holds the value 3"),
        (b"description: x\nparameters: {norm: {choices: [none], choices: [none]}}", "stands twice"),
    ],
)
def test_a_space_file(
    text: bytes,
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_bytes(text)
    assert main(["plan", "space=mine.yaml"]) == 2
    err = capsys.readouterr().err
    assert re.search(says, err), err
    assert len(err.splitlines()) == 1


def test_a_space_reads_numbers_as_the_configuration_does(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(
        "description: x\nparameters: {norm: {choices: [none]}, recipe.lr: {real: {low: 1e-3, high: 1E-2}}}\n"
    )
    assert main(["plan", "space=mine.yaml"]) == 0
    assert "recipe.lr" in capsys.readouterr().out


def test_a_worker_may_register_hydra_s_own_source_after_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What joblib's workers do: they get our registry, then look for Hydra's plug-ins."""
    Plugins.instance()
    registry = SourcesRegistry.instance()
    # There is one registry a process.
    monkeypatch.setattr(registry, "types", pickle.loads(pickle.dumps({"file": ConfigFiles})), raising=False)
    registry.register(FileConfigSource)
    assert registry.types == {"file": ConfigFiles}
