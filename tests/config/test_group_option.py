"""Options read from their own files are what Hydra composes; where they are not the whole story, Hydra is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from aero_search.config.group_option import PlainOptions, group_option
from aero_search.config.paths import conf_dir

GROUPS = (
    "protocol",
    "network",
    "model",
    "norm",
    "activation",
    "ffn",
    "attention",
    "stabilizer",
    "regularizer",
    "recipe",
)


@pytest.fixture(autouse=True)
def _hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        yield


def options(group: str) -> list[str]:
    return GlobalHydra.instance().config_loader().get_group_options(group)


def add_folder(folder: Path) -> None:
    """As --config-dir does."""
    loader = GlobalHydra.instance().config_loader()
    assert isinstance(loader, ConfigLoaderImpl)
    loader.config_search_path.prepend("command-line", f"file://{folder}", "schema")
    loader.repository.initialize_sources(loader.config_search_path)


def plain_options(*overrides: str, config: str = "search") -> PlainOptions:
    composed = compose(config, overrides=list(overrides), return_hydra_config=True)
    return PlainOptions(GlobalHydra.instance().config_loader(), composed, overrides)


def whole(*overrides: str, config: str = "search") -> dict[str, Any]:
    plain = OmegaConf.to_container(compose(config, overrides=list(overrides)))
    assert isinstance(plain, dict)
    return {str(name): value for name, value in plain.items()}


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_is_what_hydra_composes(group: str) -> None:
    alone, base = plain_options(), whole()
    for name in options(group):
        composed = whole(f"{group}={name}")
        changed = alone(f"{group}={name}")
        assert changed is not None
        assert {**base, **changed} == composed
        assert group_option(group, name) == composed[group]


@pytest.mark.parametrize("name", ["perplexity_latency", "accuracy_latency_flops"])
def test_options_of_other_groups_below_are_composed(name: str) -> None:
    assert plain_options()(f"objective={name}") is None
    composed = compose("search", overrides=[f"objective={name}"]).objective
    assert group_option("objective", name) == OmegaConf.to_container(composed, resolve=True)


@pytest.mark.parametrize(
    "override",
    ["norm=rmsnorm", "norm.layers=2", "norm.layers=all", "+norm.more=1", "~norm.final", "variant=sm_scfuffn"],
)
def test_what_else_sets_fields_of_the_group_is_left_to_hydra(override: str) -> None:
    assert plain_options(override)("norm=none") is None


def test_overrides_of_other_groups_do_no_harm() -> None:
    fixed = ("activation=relu", "recipe.lr=1e-2", "search.n_trials=4")
    changed = plain_options(*fixed)("norm=none")
    assert changed is not None
    assert {**whole(*fixed), **changed} == whole(*fixed, "norm=none")


@pytest.mark.parametrize(
    ("files", "override", "known"),
    [
        ({"norm/mine.yaml": "kind: layernorm\nfinal: none\n"}, "norm=mine", True),
        ({"norm/mine.yaml": "defaults: [layernorm]\nfinal: none\n"}, "norm=mine", True),
        ({"norm/mine.yaml": "defaults: [layernorm, _self_]\nfinal: none\n"}, "norm=mine", True),
        ({"norm/mine.yaml": "defaults: [_self_, layernorm]\nfinal: none\n"}, "norm=mine", False),
        ({"norm/mine.yaml": "# @package activation\nkind: relu\n"}, "norm=mine", False),
        ({"norm/mine.yaml": "defaults: [{/activation: relu}]\nkind: none\n"}, "norm=mine", False),
        ({"norm/mine.yaml": "defaults: [{override /activation: relu}]\n"}, "norm=mine", False),
        ({"norm/mine.yaml": "defaults: [mine]\n"}, "norm=mine", False),
    ],
)
def test_a_file_that_is_more_than_its_fields_is_left_to_hydra(
    files: dict[str, str], override: str, known: bool, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    add_folder(tmp_path)
    changed = plain_options()(override)
    assert (changed is not None) is known
    if changed is not None:
        assert {**whole(), **changed} == whole(override)


def test_a_configuration_of_the_users_own_is_left_to_hydra(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("defaults: [search, _self_]\nnorm: {layers: all}\n")
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(tmp_path)):
        composed = compose("mine", [f"hydra.searchpath=[file://{conf_dir()}]"], return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        assert PlainOptions(loader, composed, ())("norm=rmsnorm") is None


def test_the_users_own_folder_may_set_anything_and_is_left_to_hydra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AERO_SEARCH_CONFIG", str(tmp_path))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.yaml").write_text(
        "defaults: [text_folder, {override /norm@_global_.norm: none}]\n"
    )
    add_folder(tmp_path)
    assert whole("data=mine")["norm"]["kind"] == "none"
    assert plain_options("data=mine")("norm=rmsnorm") is None
    assert plain_options()("norm=rmsnorm") is not None
