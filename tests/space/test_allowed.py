"""What a space or a ladder from someone else cannot set: where results go, who is asked, what is read or run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from aero_search.cli import main
from aero_search.config.paths import conf_dir, search_spaces_dir
from aero_search.errors import RequestError
from aero_search.plain_yaml import parse_yaml
from aero_search.schema import from_mapping
from aero_search.search.ladder import Ladder
from aero_search.space import load_space, space_base

FORBIDDEN = [
    ("output_dir", "elsewhere"),
    ("tracking.uri", "http"),
    ("tracking", "none"),
    ("search.storage", "x"),
    ("search.workers", 1),
    ("search.n_trials.x", 1),
    ("data", "text_folder"),
    ("data.path", "x"),
    ("data.cache_dir", "x"),
    ("hydra.callbacks.x._target_", "joblib.load"),
    ("hydra/launcher", "joblib"),
    ("hydra.searchpath", "[x]"),
    ("+hydra.callbacks", "x"),
    ("++norm.x", 1),
    ("~norm", None),
    ("norm@hydra.callbacks", "layernorm"),
    ("architecture", "x"),
    ("study.name", "x"),
    ("space", "x"),
    ("model/x", "x"),
    ("Model", "proxy"),
]
VALUES = [
    "${oc.env:HOME}",
    "${recipe.lr}",
    "elsewhere/${oc.env:HOME}",
    "${python_version:major}",
    "../../evil",
    "/etc/passwd",
    "choice(a,b)",
    "glob(*)",
    "{a: b}",
    "a,b",
    "'a'",
    "a=b",
    "",
    "$HOME",
    "a\nb",
    "[a,[b]]",
    "norm\u202e",
]


def space(tmp_path: Path, **parts: Any) -> str:
    whole = {"description": "x", "parameters": {"norm": {"choices": ["none", "layernorm"]}}, **parts}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(whole))
    return str(path)


@pytest.mark.parametrize(("name", "value"), FORBIDDEN)
def test_settings_that_a_space_may_not_make(name: str, value: object, tmp_path: Path) -> None:
    based = space(tmp_path, base={name: value})
    for read in (lambda: space_base(based, tmp_path), lambda: load_space(based, tmp_path, {"n_layer": 2})):
        with pytest.raises(RequestError) as refused:
            read()
        assert str(refused.value).startswith(f"mine.yaml: base sets {name}, which a file may not")
    varied = space(tmp_path, parameters={name: {"choices": [value]}})
    with pytest.raises(RequestError, match=r"mine\.yaml: parameters sets .*, which a file may not"):
        load_space(varied, tmp_path, {"n_layer": 2})
    ranged = space(tmp_path, parameters={name: {"int": {"low": 1, "high": 2}}})
    with pytest.raises(RequestError, match="which a file may not"):
        load_space(ranged, tmp_path, {"n_layer": 2})


@pytest.mark.parametrize("value", VALUES)
def test_values_that_are_more_than_words(value: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"mine\.yaml: base sets norm\.layers to '"):
        space_base(space(tmp_path, base={"norm.layers": value}), tmp_path)
    with pytest.raises(RequestError, match=r"mine\.yaml: parameters sets norm to '"):
        load_space(
            space(tmp_path, parameters={"norm": {"choices": ["none", value]}}), tmp_path, {"n_layer": 2}
        )


def ladder(line: str) -> Ladder:
    said = {"name": "l", "description": "x", "lr": [1e-3], "seeds": [0]}
    return from_mapping(Ladder, {**said, "rows": {"SM": {"overrides": [line]}}}, "ladder")


@pytest.mark.parametrize("line", [*(f"{name}={value}" for name, value in FORBIDDEN), "norm", "--multirun"])
def test_overrides_that_a_ladder_may_not_have(line: str) -> None:
    with pytest.raises(RequestError, match=r"ladder\.rows\.SM (sets|has) .*"):
        ladder(line)
    said = {"name": "l", "description": "x", "lr": [1e-3], "seeds": [0], "rows": {"SM": {"overrides": []}}}
    with pytest.raises(RequestError, match=r"ladder\.cross\.t\.0 (sets|has)"):
        from_mapping(Ladder, {**said, "cross": {"t": {"0": [line]}}}, "ladder")


@pytest.mark.parametrize("value", VALUES)
def test_values_that_a_ladder_may_not_have(value: str) -> None:
    with pytest.raises(RequestError, match=r"ladder\.rows\.SM sets norm to '"):
        ladder(f"norm={value}")


@pytest.mark.parametrize(
    "entry",
    [
        {"choices": [None]},
        {"choices": ["layernorm", True]},
        {"choices": [3]},
        {"choices": ["null"]},
        {"choices": ["[layernorm,none]"]},
        {"int": {"low": 0, "high": 1}},
        {"real": {"low": 0.1, "high": 1.0}},
    ],
)
def test_a_group_takes_the_names_of_options(entry: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"parameters sets norm.*: it is a group, which takes the names"):
        load_space(space(tmp_path, parameters={"norm": entry}), tmp_path, {"n_layer": 2})


@pytest.mark.parametrize("value", ["null", "true", "3", "[layernorm,none]"])
def test_a_group_of_a_base_or_a_ladder_does_too(value: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"sets norm to .*: it is a group"):
        space_base(space(tmp_path, base={"norm": value}), tmp_path)
    with pytest.raises(RequestError, match="it is a group"):
        ladder(f"norm={value}")


def test_what_ships_is_allowed(tmp_path: Path) -> None:
    for path in search_spaces_dir().glob("*.yaml"):
        space_base(path.stem, search_spaces_dir())
    for path in (conf_dir() / "ladder").glob("*.yaml"):
        said = parse_yaml(path.read_text(), path.name)
        assert isinstance(said, dict)
        if "defaults" not in said:  # one that begins with another is composed in tests/config/test_ladders.py
            assert from_mapping(Ladder, said, "ladder").rows
    based = {
        "model": "llama_proxy", "ffn.layers": "[0, 2]", "stabilizer.targets": "qk+ffn", "recipe.lr": 1e-3,
        "objective.constraints.latency_s.max": "30 s", "network": "wan", "model.gated": True, "variant": "sm_r",
        "search.n_trials": 3,
    }  # fmt: skip
    assert "objective.constraints.latency_s.max=30 s" in space_base(space(tmp_path, base=based), tmp_path)


def test_an_environment_variable_becomes_no_folder_and_no_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", "s3cr3t")
    (tmp_path / "w").mkdir()
    base = {"output_dir": "elsewhere/${oc.env:SECRET}", "tracking.uri": "http://127.0.0.1:9/${oc.env:SECRET}"}
    path = space(tmp_path / "w", base=base)
    for command in ("search", "plan"):
        assert main([command, f"space={path}"]) == 2
        said = capsys.readouterr().err
        assert said.startswith("aero-search: mine.yaml: base sets output_dir, which a file may not")
        assert said.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w"]
