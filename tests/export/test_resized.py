"""The chosen architecture at another size: same choices by relative depth, no weights, a command that trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from aero_search.app.resize import asked_shape, resized_config
from aero_search.architecture import Architecture
from aero_search.config.request import Request
from aero_search.errors import RequestError
from aero_search.export.resized import write_resized
from aero_search.invocation import BARE
from aero_search.schema import from_mapping
from tests.export.made import Made, request_of


def write(one: Made, folder: Path, *overrides: str) -> tuple[str, str]:
    request = request_of(*overrides, config="export")
    shape = asked_shape(request, one.choice.record.architecture)
    return write_resized(one.choice, shape, lambda config, a: resized_config(request, config, a), folder)


def test_a_named_model_takes_the_choices_at_their_relative_depth(
    made: Callable[[str], Made], tmp_path: Path
) -> None:
    name, command = write(made("fused"), tmp_path / "large", "model=gpt2_small")
    assert name == "SM + ScFuFFN_i6"
    assert command == f"aero-search train --config-dir {tmp_path / 'large'} --config-name candidate"
    written = yaml.safe_load((tmp_path / "large" / "architecture.yaml").read_text())
    a = from_mapping(Architecture, written)
    assert (a.n_layer, a.n_head, a.d_model, a.vocab_size, a.seq_len) == (12, 12, 768, 50257, 128)
    assert not list((tmp_path / "large").glob("*.safetensors"))
    config = yaml.safe_load((tmp_path / "large" / "candidate.yaml").read_text())
    assert Request(config).architecture == a
    assert Request(config).recipe == made("fused").request.recipe
    card = (tmp_path / "large" / "README.md").read_text()
    assert "private-inference latency" in card
    assert BARE[:-1] in card


def test_single_fields_change_the_candidate_s_own_sizes(made: Callable[[str], Made], tmp_path: Path) -> None:
    write(made("entropy"), tmp_path / "deeper", "model.n_layer=5", "recipe.steps=7")
    config = Request(yaml.safe_load((tmp_path / "deeper" / "candidate.yaml").read_text()))
    a, like = config.architecture, made("entropy").choice.record.architecture
    assert (a.n_layer, a.d_model, a.vocab_size) == (5, like.d_model, like.vocab_size)
    assert a.attention == like.attention
    assert config.recipe.steps == 7
    assert config.data == made("entropy").request.data


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        (["model=pythia_70m"], "model=pythia_70m is of the family pythia, but the candidate is gpt2"),
        (["model.ffn_ratio=2"], "model.ffn_ratio is a choice of the candidate and no size"),
        (["model.n_head=3"], "is not a multiple of model.n_head=3"),
    ],
)
def test_what_is_no_size_or_cannot_be_built(
    overrides: list[str], match: str, made: Callable[[str], Made], tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=match):
        write(made("fused"), tmp_path / "large", *overrides)
    assert not (tmp_path / "large").exists()
