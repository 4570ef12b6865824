"""Analytic FLOPs equal fvcore's and torch's for every variant of the paper and every family."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hypothesis import given, settings

from aero_search.architecture import Architecture
from aero_search.config.hydra_main import read_request
from aero_search.config.paths import conf_dir
from aero_search.cost import flops
from aero_search.model import build_model
from tests.architecture.strategies import architectures
from tests.model.flops_reference import flop_counter_flops, fvcore_flops

VARIANTS = sorted(path.stem for path in (conf_dir() / "variant").glob("*.yaml"))


def variant(name: str, *overrides: str) -> Architecture:
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        return read_request(compose("config", [f"variant={name}", *overrides])).architecture


def check(architecture: Architecture) -> None:
    with torch.device("meta"):
        counted = fvcore_flops(build_model(architecture), architecture)
    ours = flops(architecture)
    assert ours.total == counted["total"]
    assert (ours.attention, ours.ffn) == (counted["attention"], counted["ffn"])
    assert (ours.projections, ours.attention_products) == (counted["projections"], counted["products"])
    assert ours.lm_head == counted["lm_head"]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_equals_fvcore(name: str) -> None:
    architecture = variant(name)
    check(architecture)
    assert flops(architecture).total == flop_counter_flops(architecture)


def test_pruned_and_mixed_layers_equal_fvcore() -> None:
    check(variant("sm_scfuffn", "ffn.layers=2"))
    check(variant("sm_ln_g", "ffn.layers=[1,3]", "norm.layers=2"))


@settings(max_examples=40)
@given(architectures())
def test_any_architecture_of_any_family(architecture: Architecture) -> None:
    # The reparametrizations act once a step, not on every token: they are no part of a forward pass.
    plain = replace(architecture, stabilizer=replace(architecture.stabilizer, kind="none"))
    check(plain)


@pytest.mark.parametrize(
    ("name", "published"), [("sm_ln_g", "14.5"), ("sm_scffn", "14.5"), ("sm_scfuffn", "1.8")]
)
def test_gpt2_small_prints_the_published_feed_forward_flops(name: str, published: str) -> None:
    assert f"{flops(variant(name, 'model=gpt2_small')).ffn / 1e9:.1f}" == published
