"""An exported architecture.yaml is a Hydra config: in our commands, and in any other application."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from aero_search.architecture import Architecture, Layer, canonical, key
from aero_search.cli import main
from aero_search.errors import RequestError
from aero_search.schema import from_mapping, to_mapping
from aero_search.search.files import write_yaml
from tests.export.made import request_of

# No groups can say this one: its layers have different activations.
MIXED = Architecture(
    n_head=2,
    d_model=16,
    seq_len=8,
    vocab_size=300,
    layers=(Layer("none", "relu"), Layer("layernorm", "gelu")),
)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    return write_yaml(tmp_path / "architecture.yaml", to_mapping(MIXED), "SM + LN")


def cost(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["cost", "format=json", *arguments]) == 0
    found: str = json.loads(capsys.readouterr().out)["key"]
    return found


def test_by_path_of_the_file_or_of_its_folder(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cost(capsys, f"architecture={exported}") == key(MIXED)
    assert cost(capsys, f"architecture={exported.parent}") == key(MIXED)


def test_by_name_in_a_config_dir_with_single_fields_changed(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    group = tmp_path / "mine" / "architecture"
    group.mkdir(parents=True)
    exported.rename(group / "chosen.yaml")
    flags = ["--config-dir", str(tmp_path / "mine"), "architecture=chosen"]
    assert cost(capsys, *flags) == key(MIXED)
    wider = Architecture(**{**_fields(MIXED), "d_model": 32})
    assert cost(capsys, *flags, "architecture.d_model=32") == key(wider)


def _fields(a: Architecture) -> dict[str, object]:
    return {name: getattr(a, name) for name in a.__slots__}


def test_in_another_hydra_application(exported: Path, tmp_path: Path) -> None:
    app = tmp_path / "app"
    (app / "network").mkdir(parents=True)
    (app / "config.yaml").write_text("defaults:\n  - network: chosen\n  - _self_\nlr: 1.0\n")
    exported.rename(app / "network" / "chosen.yaml")
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(app)):
        cfg = compose("config", overrides=["network.d_model=32"])
    read = from_mapping(Architecture, OmegaConf.to_container(cfg.network), "network")
    assert (read.layers, read.d_model) == (MIXED.layers, 32)


def test_a_portable_configuration_keeps_the_description_and_no_path(exported: Path) -> None:
    request = request_of(f"architecture={exported}")
    assert canonical(request.architecture) == canonical(MIXED)
    portable = yaml.safe_load(yaml.safe_dump(request.portable()))
    assert from_mapping(Architecture, portable["architecture"]) == MIXED


@pytest.mark.parametrize("override", ["norm=none", "model.n_layer=4", "variant=sm", "ffn.layers=1"])
def test_a_group_that_would_change_nothing_is_refused(override: str, exported: Path) -> None:
    group = override.partition("=")[0].partition(".")[0]
    with pytest.raises(RequestError, match=f"so {group}= would have no effect"):
        _ = request_of(f"architecture={exported}", override).architecture


def test_a_search_that_would_vary_nothing_is_refused(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["search", f"architecture={exported}", "tracking=none"]) == 2
    assert "architecture= describes the whole network, but" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("layers: []\n", "architecture.n_head is missing"),
        ("x: !!python/name:os.system\n", "YAML tag"),
        ("- 1\n", "is not a mapping"),
    ],
)
def test_files_that_are_no_architecture(text: str, match: str, tmp_path: Path) -> None:
    path = tmp_path / "architecture.yaml"
    path.write_text(text)
    with pytest.raises(Exception, match=match):
        _ = request_of(f"architecture={path}").architecture


def test_a_path_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is no file: give the path of an architecture"):
        _ = request_of(f"architecture={tmp_path / 'absent.yaml'}").architecture
