"""The quick composer gives what Hydra gives, for every shipped space and for what it cannot follow itself."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from aero_search.app.sweeper import Compose
from aero_search.architecture import notation
from aero_search.config.fast_compose import QuickCompose, _set
from aero_search.config.hydra_main import read_request
from aero_search.config.paths import conf_dir, search_spaces_dir
from aero_search.errors import RequestError
from aero_search.search.candidate import Candidate, FastComposer
from aero_search.search.known_cost.draws import draw
from aero_search.space import load_space


@pytest.fixture(autouse=True)
def _hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        yield


def composer(*fixed: str) -> Compose:
    master = compose("search", overrides=list(fixed), return_hydra_config=True)
    return Compose(GlobalHydra.instance().config_loader(), master, fixed, "corpus")


@pytest.mark.parametrize("path", sorted(search_spaces_dir().glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_space_is_composed_alike(path: Path) -> None:
    n_layer = read_request(compose("search")).architecture.n_layer
    space = load_space(path.stem, path.parent, {"n_layer": n_layer})
    whole, rng = composer(), np.random.default_rng(0)
    quick = whole.quick()
    for _ in range(6):
        overrides = space.overrides(draw(space, rng))
        one, other, same = whole.by_hydra(overrides), quick(overrides), whole(overrides)
        assert one == other == same
        assert one.identity == other.identity == same.identity
        assert quick.configuration(overrides) is not None
        assert yaml.safe_dump(same.config, sort_keys=False) == yaml.safe_dump(one.config, sort_keys=False)


@pytest.mark.parametrize(
    "line",
    [
        "variant=sm_scfuffn ffn.layers=2",
        "variant=sm_scfuffn norm=layernorm",
        "norm=layernorm variant=sm_scfuffn",
        "ffn.layers=[0,2] norm=none",
        "model.gated=true activation=silu",
        "model.n_kv_head=null recipe.init_std=3e-2",
        "recipe.schedule=cosine recipe.steps=600 recipe.lr=2.5e-03",
    ],
)
def test_options_that_meet_and_values_of_every_kind_are_composed_alike(line: str) -> None:
    whole, overrides = composer("regularizer=entropy"), line.split()
    one, other, same = whole.by_hydra(overrides), whole.quick()(overrides), whole(overrides)
    assert one == other == same
    assert same.config == one.config
    assert one.architecture.regularizer.weight == 0.02 or "variant" in line


@pytest.mark.parametrize(
    "text",
    ["1", "-3", "01", "1.5", "1e-3", ".5", "1.", "a_b", "True", "NULL", "nan", "-inf", "[0,2]", "[a,1]"],
)
def test_texts_mean_what_hydra_reads_in_them(text: str) -> None:
    whole = composer()
    plain = load(whole, f"recipe.precision={text}")["recipe"]["precision"]
    groups = {"recipe": {"precision": "32-true"}}
    assert _set(groups, ["recipe", "precision"], text)
    got = groups["recipe"]["precision"]
    assert repr(got) == repr(plain)
    assert type(got) is type(plain)


def load(whole: Compose, override: str) -> dict[str, Any]:
    cfg = whole.loader.load_sweep_config(whole.master, [override])
    plain: dict[str, Any] = OmegaConf.to_container(OmegaConf.masked_copy(cfg, ["recipe"]))  # type: ignore[assignment]
    return plain


def test_what_it_cannot_follow_goes_through_hydra() -> None:
    whole = composer()
    asked = []

    def through(overrides: object) -> Candidate:
        asked.append(overrides)
        return whole.by_hydra(overrides)  # type: ignore[arg-type]

    def interpolated(overrides: object) -> dict[str, object]:
        return {"recipe": {"lr": "${model.lr}"}}

    QuickCompose(interpolated, lambda name: False, through, "corpus", {})(["recipe.lr=0.002"])
    assert asked == [["recipe.lr=0.002"]]


@pytest.mark.parametrize(
    "line", ["search/sampler=random norm=none", "protocol=sigma", "search.n_trials=7", "+recipe.tags=[a]"]
)
def test_what_changes_more_than_candidates_goes_through_hydra(line: str) -> None:
    whole, overrides = composer(), line.split()
    assert whole.quick().configuration(overrides) is None
    one, same = whole.by_hydra(["norm=none"]), whole(["norm=none"])
    assert same.config == one.config


def test_a_configuration_that_interpolates_goes_through_hydra() -> None:
    whole = composer("protocol.title=${recipe.steps} steps")
    assert whole.quick().configuration(["recipe.lr=0.002"]) is None
    assert whole.request(["recipe.steps=7"]).composed["protocol"]["title"] == "7 steps"


def test_it_travels_without_what_it_has_composed() -> None:
    whole = composer()
    whole(["norm=none"])
    there = pickle.loads(pickle.dumps(whole))
    assert "_quick" not in vars(there)
    assert there(["norm=none"]).identity == whole(["norm=none"]).identity


def test_an_impossible_architecture_is_refused_alike() -> None:
    whole = composer()
    for way in (whole, whole.by_hydra, whole.quick()):
        with pytest.raises(RequestError, match=r"ffn\.layers=9"):
            way(["ffn.layers=9"])


def test_it_is_what_a_study_looks_for() -> None:
    assert isinstance(composer(), FastComposer)
    assert notation(composer().quick()(["norm=none"]).architecture) == "SM + G"
