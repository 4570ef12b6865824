"""Folders of configuration from someone else: data of their groups, or one sentence by field and nothing run."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest

from aero_search.cli import main

FIRST_BUNDLE = Path(__file__).parent.parent / "export" / "first_bundle"


class Payload:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (os.mkdir, ("ran",))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a pickle in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", "s3cr3t")
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(Payload()))
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def refused(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> str:
    """The one sentence of a refusal that has run, written and asked nothing."""
    before = sorted(folder.rglob("*"))
    assert main(list(arguments)) == 2
    said = capsys.readouterr().err
    assert said.startswith("aero-search: ")
    assert said.count("\n") == 1
    assert "s3cr3t" not in said
    assert sorted(folder.rglob("*")) == before
    return said


RUNS = "{_target_: joblib.load, filename: p.pkl}"
WHOLE = {
    f"hydra: {{callbacks: {{x: {RUNS}}}}}": "has the key hydra",
    f"hydra: {{launcher: {RUNS}}}": "has the key hydra",
    f"hydra: {{sweeper: {{params: {RUNS}}}}}": "has the key hydra",
    "hydra: {job_logging: {version: 1, handlers: {x: {(): joblib.load, filename: p.pkl}}}}": "has the key hydra",
    "hydra: {searchpath: ['pkg://evil', 'file:///tmp']}": "has the key hydra",
    "hydra: {run: {dir: ran}}": "has the key hydra",
    f"recipe: {RUNS}": "has the key recipe._target_",
    f"data: {{packages: [{RUNS}]}}": "has the key data.packages.0._target_",
    "recipe: {lr: '${oc.env:SECRET}'}": "has the interpolation",
    "recipe: {lr: '${oc.decode:1}'}": "has the interpolation",
    "format: '${python_version:major}'": "has the interpolation",
    "study: {name: '${search.storage}'}": "has the interpolation",
    "'${oc.env:SECRET}': 1": "has the field",
    "defaults: [train, override hydra/launcher: joblib]": "defaults names hydra/launcher",
    "defaults: [train, {/hydra/callbacks@norm: evil}]": "defaults names hydra/callbacks@norm",
    "defaults: [train, {network@hydra.callbacks: evil}]": "defaults names network@hydra.callbacks",
    "defaults: [/hydra/callbacks/evil]": "is no name of an option",
    "defaults: [{network: ../../evil}]": "is no name of an option",
    "defaults: {norm: none}": "defaults must be a list",
    "output_dir: elsewhere": "sets output_dir=elsewhere",
    "tracking: {uri: 'http://127.0.0.1:9/x'}": "sets tracking.uri=",
    "tracking: {uri: 'http://u:s3cr3t@127.0.0.1:9'}": "sets tracking.uri=",
    "search: {storage: 'postgresql://127.0.0.1:9/d'}": "sets search.storage=",
    "data: {cache_dir: elsewhere}": "sets data.cache_dir=elsewhere",
    "architecture: /etc/passwd": "names the file architecture=/etc/passwd",
    "measure: {python: ./evil}": "has the field measure",
    "to: elsewhere": "has the field to",
    "# @package hydra.callbacks\nx: 1": "has the field x",
    "# @package hydra.callbacks\nrecipe: {}": "moves to the package hydra.callbacks",
    "a: !!python/object/apply:os.mkdir [ran]": "YAML tag",
    "a: &a [*a]": "YAML anchor",
    "3": "where fields are meant",
}


@pytest.mark.parametrize(("text", "match"), WHOLE.items())
def test_a_configuration_from_a_stranger(
    text: str, match: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "candidate.yaml", text)
    assert match in refused(capsys, folder, "train", "--config-dir", ".", "--config-name", "candidate")
    assert match in refused(
        capsys, folder, "train", "-cd=.", "-cn=candidate", "--multirun", "norm=none,layernorm"
    )


def test_a_bundle_whose_manifest_agrees_with_its_hydra_key(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(FIRST_BUNDLE, folder / "b")
    (folder / "b" / "manifest.json").unlink()
    path = folder / "b" / "candidate.yaml"
    path.write_text(path.read_text() + f"hydra: {{callbacks: {{x: {RUNS}}}}}\n")
    assert "has the key hydra" in refused(
        capsys, folder, "train", "--config-dir", "b", "--config-name", "candidate"
    )


@pytest.mark.parametrize(
    ("file", "text", "override", "match"),
    [
        ("network/x.yaml", f"# @package hydra.callbacks\nx: {RUNS}", "network=x", "has the field x"),
        ("network/x.yaml", "# @package _global_\nname: x", "network=x", "moves to the package _global_"),
        ("network/x.yaml", f"name: {RUNS}", "network=x", "has the key name._target_"),
        ("network/x.yaml", "name: '${oc.env:SECRET}'", "network=x", "has the interpolation"),
        ("network/x.yaml", "defaults: [{override /tracking: none}]", "network=x", "defaults names tracking"),
        ("network/x.yaml", "defaults: ..", "network=x", "defaults must be a list"),
        ("network/x.yaml", "bandwidth_mbps: 1\nbandwidth_mbps: 2", "network=x", "twice"),
        ("objective/x.yaml", "metrics: ['${oc.env:SECRET}']", "objective=x", "has the interpolation"),
        ("objective/x.yaml", "hydra: {verbose: true}", "objective=x", "has the key hydra"),
        ("protocol/x.yaml", f"setup: {{bytes: {RUNS}}}", "protocol=x", "has the key setup.bytes._target_"),
        ("variant/x.yaml", "# @package _global_\noutput_dir: ran", "variant=x", "has the field output_dir"),
        ("variant/x.yaml", "defaults: [{override /data: text_folder}]", "variant=x", "defaults names data"),
        ("experiment/x.yaml", f"# @package _global_\nhydra: {RUNS}", "+experiment=x", "has the key hydra"),
        (
            "tracking/x.yaml",
            "kind: mlflow\nuri: http://127.0.0.1:9\nexperiment: e",
            "tracking=x",
            "sets tracking.uri",
        ),
        ("data/x.yaml", "kind: tokenized\ncache_dir: ran", "data=x", "sets data.cache_dir"),
        ("hydra/launcher/x.yaml", RUNS, "hydra/launcher=x", "is in the group hydra/launcher"),
        ("hydra/callbacks/x.yaml", f"x: {RUNS}", "+hydra/callbacks=x", "hydra/callbacks"),
        ("hydra/sweeper/aero_search.yaml", RUNS, "norm=none", "is in the group hydra/sweeper"),
        ("mine/x.yaml", "x: 1", "+mine=x", "is in the group mine"),
        (
            "network/lan.yaml",
            "name: lan\nbandwidth_mbps: 1\nrtt_ms: 1",
            "network=lan",
            "name of the shipped",
        ),
        ("x.yaml", "name: x", "network=../x", "leads out of the folder"),
    ],
)
def test_a_file_of_a_group_from_a_stranger(
    file: str, text: str, override: str, match: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "m" / file, text)
    write(folder / "m" / "network" / "keep.yaml", "name: keep\n")
    if override == "network=../x":
        (folder / "m" / "network" / "x.yaml").symlink_to(folder / "p.pkl")
        override = "network=x"
    assert match in refused(capsys, folder, "train", "--config-dir", "m", override)
    searched = f"hydra.searchpath=[file://{folder / 'm'}]"
    if "shipped" not in match:
        assert match in refused(capsys, folder, "train", searched, override)


@pytest.mark.parametrize(
    "flag", ["--experimental-rerun", "--experimental", "--e", "--config-path", "-cp", "--config-p"]
)
def test_flags_that_read_pickles_or_hide_what_ships(
    flag: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--" in refused(capsys, folder, "train", flag, "p.pkl")
    assert "--" in refused(capsys, folder, "train", f"{flag}=p.pkl")


def test_what_people_write_for_themselves_still_works(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "m/network/phone.yaml", "name: phone\nbandwidth_mbps: 2e1\nrtt_ms: 40\n")
    write(folder / "m/model/narrow.yaml", "defaults: [proxy]\nd_model: 32\n")
    write(
        folder / "m/variant/mine.yaml",
        "# @package _global_\ndefaults: [{override /norm: none}]\nffn: {layers: 1}\n",
    )
    write(
        folder / "m/experiment/e.yaml",
        "# @package _global_\ndefaults: [{override /network: phone}]\nrecipe: {steps: 7}\n",
    )
    write(
        folder / "m/whole.yaml",
        "defaults: [cost, override model: narrow, override variant: mine, _self_]\nnetwork: {rtt_ms: 9}\n",
    )
    flags = ["cost", "format=json", "--config-dir", "m"]
    assert main([*flags, "network=phone", "model=narrow", "variant=mine"]) == 0
    assert json.loads(capsys.readouterr().out)["network"] == "phone"
    assert main([*flags, "+experiment=e"]) == 0
    assert json.loads(capsys.readouterr().out)["network"] == "phone"
    assert main([*flags, "--config-name", "whole"]) == 0
    assert json.loads(capsys.readouterr().out)["network"] == "paper"


def test_a_place_on_the_command_line_wins_over_the_file_s(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        folder / "mine.yaml", "defaults: [cost]\noutput_dir: theirs\ntracking: {uri: 'http://127.0.0.1:9'}\n"
    )
    flags = ["cost", "--config-dir", ".", "--config-name", "mine", "--cfg", "job"]
    assert main([*flags, "output_dir=ours", "tracking.uri=null"]) == 0
    said = capsys.readouterr().out
    assert "output_dir: ours" in said
    assert "127.0.0.1" not in said


def test_one_s_own_folder_may_say_everything(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AERO_SEARCH_CONFIG", str(folder / "own"))
    write(folder / "own/tracking/mine.yaml", "kind: mlflow\nuri: 'http://${oc.env:SECRET}'\nexperiment: e\n")
    write(folder / "own/network/x.yaml", "name: '${oc.env:SECRET}'\nbandwidth_mbps: 1\nrtt_ms: 1\n")
    assert main(["cost", "tracking=mine", "format=json"]) == 0
    assert "has the interpolation" in refused(capsys, folder, "cost", "network=x")


def test_the_first_bundle_still_verifies_and_composes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(FIRST_BUNDLE)]) == 0
    flags = ["--config-dir", str(FIRST_BUNDLE), "--config-name", "candidate"]
    assert main(["cost", "--cfg", "job", *flags]) == 0


@pytest.mark.slow
def test_the_first_bundle_still_trains(
    folder: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--config-dir", str(FIRST_BUNDLE), "--config-name", "candidate"]
    assert main(["train", *flags, f"data.path={text_folder}", "tracking.kind=none"]) == 0
    assert "perplexity" in capsys.readouterr().out
