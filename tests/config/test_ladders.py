"""Every row of every shipped ladder composes, and is the variant that its name says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from aero_search.app.ablation import AblateOptions, LadderCompose
from aero_search.architecture import canonical, key, notation, parse_notation
from aero_search.config.hydra_main import read_request
from aero_search.config.paths import conf_dir
from aero_search.config.request import Request
from aero_search.search.candidate import make_candidate
from aero_search.search.ladder import Ladder

LADDERS = sorted(path.stem for path in (conf_dir() / "ladder").glob("*.yaml"))


@pytest.fixture(autouse=True)
def _hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        yield


def request_of(*overrides: str) -> Request:
    return read_request(compose("ablate", overrides=list(overrides)), overrides)


def ladder_of(name: str) -> Ladder:
    return request_of(f"ladder={name}").options(AblateOptions).ladder


@pytest.mark.parametrize("name", LADDERS)
def test_every_row_is_what_its_name_says(name: str) -> None:
    ladder = ladder_of(name)
    assert ladder.name == name
    keys = set()
    for cell in ladder.cells().values():
        architecture = canonical(request_of(f"ladder={name}", *cell.overrides).architecture)
        keys.add(key(architecture))
        if not cell.levels and " of " not in cell.name and ":" not in cell.name and ", t" not in cell.name:
            assert notation(architecture).split(" [")[0] == cell.name.replace("SOTA: ", "")
            assert canonical(parse_notation(notation(architecture), architecture)) == architecture
    distinct = len(ladder.cells())
    # Of four layers, all but a twelfth are all: that row shares the training of the one above it.
    assert len(keys) == distinct - (name == "aero")


def test_pruned_rows_follow_the_depth() -> None:
    rows = ladder_of("aero").rows
    row = rows["SM + ScFuFFN_i6 of 12"].overrides
    assert notation(request_of("model=gpt2_small", *row).architecture) == "SM + ScFuFFN_i6"
    assert notation(request_of("model=proxy", *row).architecture) == "SM + ScFuFFN_i2"
    row = rows["SOTA: SM + ScFuFFN_i1 of 12"].overrides
    assert notation(request_of("model=gpt2_small", *row).architecture).startswith("SM + ScFuFFN_i1 [")


@pytest.mark.parametrize("share", ["1.5", "0.0", "-0.5"])
def test_a_share_outside_0_to_1_is_refused(share: str) -> None:
    with pytest.raises(Exception, match="share of the layers"):
        _ = request_of(f"ffn.layers={share}").architecture


def test_a_row_stands_for_its_overrides() -> None:
    ladder = ladder_of("entropy")
    cells = {name: cell.overrides for name, cell in ladder.cells().items()}

    def plain(overrides: object) -> object:
        assert isinstance(overrides, list)
        request = request_of(*overrides)
        return make_candidate(request.architecture, request.recipe, "corpus", tuple(overrides))

    composed = LadderCompose(plain, cells)  # type: ignore[arg-type]
    candidate = composed(["row=SM + ScFuFFN, t 0.3, weight 0.02", "recipe.lr=0.004", "recipe.seed=1"])
    assert candidate.recipe.lr == 0.004
    assert candidate.recipe.seed == 1
    assert candidate.architecture.attention.temperature_init == 0.3
    assert candidate.architecture.regularizer.weight == 0.02
    assert candidate.overrides[:2] == ("variant=sm_scfuffn", "attention.temperature=learned")
