"""`aero-search plan`: architectures built without Hydra are Hydra's own, and its document is whole."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from aero_search.app.planning import architecture_parameters
from aero_search.app.sweeper import Compose
from aero_search.architecture import Architecture
from aero_search.cli import main
from aero_search.config.hydra_main import read_request
from aero_search.config.paths import conf_dir, search_spaces_dir
from aero_search.errors import RequestError
from aero_search.space import Space, Tree, space_base


@pytest.fixture
def hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        yield


def builder(*fixed: str) -> Callable[[Sequence[str]], Architecture]:
    master = compose("config", overrides=list(fixed), return_hydra_config=True)
    return Compose(GlobalHydra.instance().config_loader(), master, fixed, "").quick().architecture


@pytest.mark.usefixtures("hydra")
@pytest.mark.parametrize("path", sorted(search_spaces_dir().glob("*.yaml")), ids=lambda path: path.stem)
def test_what_is_built_is_what_hydra_composes(path: Path) -> None:
    base = space_base(path.stem, search_spaces_dir())
    space = read_request(compose("config", overrides=[f"space={path.stem}", *base])).load_space()
    counted = Space(space.name, space.description, architecture_parameters(space))
    varied = {p.override for p in counted.parameters}
    fixed = [line for line in base if line.partition("=")[0] not in varied]
    build, tree, rng = builder(*fixed), Tree(counted.parameters), random.Random(0)
    for _ in range(6):
        overrides = counted.overrides(tree.draw(rng))
        composed = read_request(compose("config", overrides=[*fixed, *overrides]))
        assert build(overrides) == composed.architecture


@pytest.mark.usefixtures("hydra")
def test_fields_do_not_leak_from_one_to_the_next() -> None:
    build = builder("norm=none")
    assert [layer.ffn for layer in build(["ffn.layers=1"]).layers] == ["full", "none", "none", "none"]
    assert [layer.ffn for layer in build(["ffn=fused"]).layers] == ["fused"] * 4
    assert [layer.ffn for layer in build([]).layers] == ["full"] * 4
    assert build(["ffn.layers=[0,2]"]).layers[2].ffn == "full"
    with pytest.raises(RequestError, match=r"ffn\.layers=9"):
        build(["ffn.layers=9"])


@pytest.mark.usefixtures("hydra")
def test_a_space_s_conditions_count_with_its_architecture() -> None:
    space = read_request(compose("config")).load_space()
    names = [p.name for p in architecture_parameters(space)]
    assert "recipe.lr" not in names
    assert "attention.temperature_init" in names


def test_the_document_is_whole_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    GlobalHydra.instance().clear()
    narrowed = ["norm=none", "attention.temperature=none", "stabilizer=none", "search.n_trials=4"]
    limit = "objective.constraints.communication_bytes.max=600MB"
    assert main(["plan", *narrowed, limit, "format=json"]) == 0
    document = json.loads(capsys.readouterr().out)
    # Fused or full with three activations, in the first 1 to 4 layers.
    assert document["architectures"] == {"value": 16, "low": 16, "high": 16}
    assert document["exact"]
    assert 0 < document["fitting"]["value"] < 16
    assert document["limits"] == {"communication_bytes": 6e8}
    costs = document["costs"]["communication_bytes"]
    assert costs["min_notation"] == "SM + FuFFN_i3"
    assert costs["max_notation"] == "SM + G"
    assert document["forecast"]["trainings"] == 4
    assert document["forecast"]["hours"] == pytest.approx(2 * document["forecast"]["seconds_each"] / 3600)
    # The space asks for two further seeds of what may be on the front: of every candidate at most.
    assert document["forecast"]["seed_hours_at_most"] == 2 * document["forecast"]["hours"]
    assert list(tmp_path.iterdir()) == []
    assert main(["plan", *narrowed, limit]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "then 2 more seeds of the front and its near rivals: up to" in out
    assert "16 distinct architectures, of 16 assignments (all looked at)" in out
    assert "keep the limits: communication_bytes up to 600 MB" in out


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (["budget.latency_s='1 ms'"], "keeps a limit of 1 ms on latency_s: the cheapest, SM"),
        (["budget.flops=1000"], "on flops: the cheapest, SM"),
    ],
)
def test_limits_that_no_network_keeps_are_refused_before_anything_is_proposed(
    limits: list[str],
    said: str,
    tiny: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["search", "space=tiny", "tracking=none", *limits, *tiny]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("aero-search: no network of space=tiny keeps")
    assert said in sentence
    assert not list(tmp_path.iterdir())
