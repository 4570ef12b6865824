"""Every YAML of conf/ and search_spaces/ composes, validates and means what its name says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from aero_search.architecture import notation
from aero_search.cli import COMMANDS
from aero_search.config.hydra_main import read_request
from aero_search.config.paths import conf_dir, search_spaces_dir
from aero_search.config.request import Request
from aero_search.space import space_base

PARTS = (
    "architecture",
    "data",
    "recipe",
    "compute",
    "objective",
    "protocol",
    "network",
    "search",
    "tracking",
)
# Options that ask for something of the user's own before they are whole.
NEEDS = {
    "data/text_folder": ["data.path=."],
    "data/classification": ["data.path=."],
    "data/tokenized": ["data.path=."],
    "data/languini": ["data.path=."],
    "verify": ["bundle=."],
    "evaluate": ["bundle=."],
    "network/custom": ["network.bandwidth_mbps=300", "network.rtt_ms=20"],
}
NOTATION = {
    "sm_ln_g": "SM + LN + G",
    "sm_ln_r": "SM + LN + R",
    "sm_ln": "SM + LN",
    "sm_g": "SM + G",
    "sm_r": "SM + R",
    "sm": "SM",
    "sm_scffn": "SM + ScFFN",
    "sm_scfuffn": "SM + ScFuFFN",
    "ereg_sm_t_scfuffn": "EReg(SM(t) + ScFuFFN)",
    "sota_sm_scffn": "SM + ScFFN [attention.value_projection=identity, attention.shaped=true]",
    "sota_sm_scfuffn": "SM + ScFuFFN [attention.value_projection=identity, attention.shaped=true]",
}


@pytest.fixture(autouse=True)
def _hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        yield


def request_of(*overrides: str, config: str = "config") -> Request:
    return read_request(compose(config, overrides=list(overrides)), overrides)


def options() -> list[str]:
    groups = [p.relative_to(conf_dir()).with_suffix("") for p in sorted(conf_dir().glob("*/**/*.yaml"))]
    # Ladders are a group of `ablate` alone: test_ladders composes every row of each.
    return [str(group) for group in groups if group.parts[0] != "ladder"]


@pytest.mark.parametrize("option", options())
def test_every_option_composes_and_validates(option: str) -> None:
    group, _, name = option.rpartition("/")
    request = request_of(f"{group}={name}", *NEEDS.get(option, []))
    for part in PARTS:
        assert getattr(request, part) is not None


@pytest.mark.parametrize("path", sorted(conf_dir().glob("*.yaml")), ids=lambda path: path.stem)
def test_every_command_s_config_composes(path: Path) -> None:
    assert path.stem == "config" or path.stem in COMMANDS
    needed = NEEDS.get(path.stem, [])
    assert request_of(*needed, config=path.stem).architecture.n_layer == 4


@pytest.mark.parametrize("name", [p.stem for p in sorted((conf_dir() / "variant").glob("*.yaml"))])
def test_every_variant_is_the_paper_s_row(name: str) -> None:
    assert notation(request_of(f"variant={name}").architecture) == NOTATION[name]


def test_a_later_override_wins_over_the_variant() -> None:
    assert notation(request_of("variant=sm_scfuffn", "ffn.layers=2").architecture) == "SM + ScFuFFN_i2"
    assert notation(request_of("variant=sm_scfuffn", "norm=layernorm").architecture) == "SM + LN + ScFuFFN"
    assert (
        request_of("variant=ereg_sm_t_scfuffn", "regularizer.weight=0.5").architecture.regularizer.weight
        == 0.5
    )


def test_layer_sets() -> None:
    kinds = [layer.ffn for layer in request_of("ffn.layers=[0,3]").architecture.layers]
    assert kinds == ["full", "none", "none", "full"]
    norms = [layer.norm for layer in request_of("norm.layers=1").architecture.layers]
    assert norms == ["layernorm", "none", "none", "none"]


@pytest.mark.parametrize("path", sorted(search_spaces_dir().glob("*.yaml")), ids=lambda path: path.stem)
def test_every_space_composes_into_architectures(path: Path) -> None:
    made_for = space_base(path.stem, search_spaces_dir())
    space = request_of(f"space={path.stem}", *made_for).load_space()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for point in space.start:
        study.enqueue_trial(dict(point))
    names = set()
    varied = {parameter.override for parameter in space.parameters}
    base = [line for line in made_for if line.partition("=")[0] not in varied]
    for _ in range(len(space.start) + 8):
        overrides = space.overrides(space.suggest(study.ask()))
        assert len({line.partition("=")[0] for line in overrides}) == len(overrides)
        request = request_of(*base, *overrides)
        names.add(notation(request.architecture))
        assert request.recipe.lr > 0
    assert len(names) >= 6


def test_per_layer_choices_reach_their_layers() -> None:
    space = request_of("space=aero_per_layer").load_space()
    point = {
        "norm.kind[0]": "layernorm", "norm.kind[1]": "none", "norm.kind[2]": "none", "norm.kind[3]": "none",
        "ffn.kind[0]": "full", "ffn.kind[1]": "none", "ffn.kind[2]": "full", "ffn.kind[3]": "fused",
        "activation.kind[0]": "relu", "activation.kind[2]": "identity", "recipe.lr": 0.004,
    }  # fmt: skip
    overrides = space.overrides(point)
    assert overrides[:3] == [
        "norm.kind=[layernorm,none,none,none]",
        "ffn.kind=[full,none,full,fused]",
        "activation.kind=[relu,gelu,identity,gelu]",
    ]
    layers = request_of(*overrides).architecture.layers
    assert [(a.norm, a.ffn) for a in layers] == [
        ("layernorm", "full"), ("none", "none"), ("none", "full"), ("none", "fused"),
    ]  # fmt: skip
    assert [a.activation for a in layers if a.ffn == "full"] == ["relu", "identity"]


def test_the_paper_s_space_starts_with_every_row() -> None:
    space = request_of("space=paper_rows").load_space()
    names = [notation(request_of(*space.overrides(point)).architecture) for point in space.start]
    assert names == list(NOTATION.values())
    pruned = request_of(*space.overrides({"variant": "sm_scfuffn", "ffn.layers": 2, "recipe.lr": 0.004}))
    assert notation(pruned.architecture) == "SM + ScFuFFN_i2"


def test_the_default_space_starts_with_the_baseline() -> None:
    space = request_of().load_space()
    assert notation(request_of(*space.overrides(space.start[0])).architecture) == "SM + LN + G"


FROZEN = """
model=gpt2_small model=gpt2_small_18l model=proxy
model.n_layer=2 model.n_head=2 model.d_model=32 model.seq_len=16 model.vocab_size=300
norm=none activation=relu ffn=fused ffn.layers=1 stabilizer=scaled
attention.temperature=learned attention.value_projection=identity
regularizer.weight=0.1 regularizer.margin=0.1
recipe.steps=3 recipe.lr=1e-3 recipe.batch_size=2 recipe.seed=1
study.name=x search.n_trials=3 search.workers=1 search/sampler=nsga2 space=aero
objective=perplexity_latency protocol=aero_paper network=lan data=python_source
format=json output_dir=elsewhere tracking=none
"""


@pytest.mark.parametrize("override", FROZEN.split())
def test_names_that_scripts_rely_on_stay(override: str) -> None:
    assert request_of(override).architecture.n_layer > 0


def test_variants_are_documented_by_their_first_line() -> None:
    for path in conf_dir().glob("variant/*.yaml"):
        lines = path.read_text().splitlines()
        assert lines[0] == "# @package _global_"
        assert lines[1].startswith("# ")


def test_yaml_is_plain_data() -> None:
    documents: list[Any] = [yaml.safe_load(path.read_text()) for path in conf_dir().glob("**/*.yaml")]
    assert all(isinstance(document, dict) for document in documents)


def test_a_saved_config_trains_again_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved = request_of("data=text_folder", "data.path=texts", "output_dir=/somewhere/else").portable()
    assert saved["data"]["path"] == str(tmp_path / "texts")
    assert saved["output_dir"] == "outputs"
