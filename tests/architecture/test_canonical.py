"""One key a network: settings without effect collapse, settings with an effect do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from aero_search.architecture import (
    Architecture,
    Attention,
    Layer,
    Regularizer,
    Stabilizer,
    canonical,
    key,
)
from aero_search.schema import from_mapping, to_mapping
from tests.architecture.strategies import architectures


@given(architectures())
def test_canonical_form_is_its_own(a: Architecture) -> None:
    assert canonical(canonical(a)) == canonical(a)
    assert key(canonical(a)) == key(a)


@given(architectures())
def test_survives_yaml(a: Architecture) -> None:
    assert from_mapping(Architecture, to_mapping(a)) == a


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            {"layers": (Layer(activation="relu", ffn="none"),)},
            {"layers": (Layer(activation="gelu", ffn="none"),)},
        ),
        (
            {"layers": (Layer(activation="relu", ffn="fused"),)},
            {"layers": (Layer(activation="identity", ffn="fused"),)},
        ),
        ({"attention": Attention(temperature_init=0.5)}, {}),
        ({"regularizer": Regularizer(weight=0.0, margin=0.4, reduction="sum")}, {}),
        ({"stabilizer": Stabilizer("none", "qk")}, {}),
        ({"stabilizer": Stabilizer("scaled", "qk")}, {"stabilizer": Stabilizer("scaled", "ffn")}),
        (
            {"layers": (Layer(ffn="none"),), "stabilizer": Stabilizer("scaled")},
            {"layers": (Layer(ffn="none"),)},
        ),
        ({"layers": (Layer(ffn="fused"),), "ffn_ratio": 2.0}, {"layers": (Layer(ffn="fused"),)}),
        ({"n_kv_head": 4}, {}),
    ],
)
def test_settings_without_effect_collapse(
    proxy: Architecture, one: dict[str, object], other: dict[str, object]
) -> None:
    base = replace(proxy, layers=(Layer(),))
    assert key(replace(base, **one)) == key(replace(base, **other))  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    "change",
    [
        {"layers": (Layer(activation="relu"),)},
        {"layers": (Layer(activation="identity"),)},
        {"layers": (Layer(ffn="fused"),)},
        {"layers": (Layer(norm="none"),)},
        {"final_norm": "none"},
        {"attention": Attention(temperature="learned")},
        {"regularizer": Regularizer(weight=0.1)},
        {"stabilizer": Stabilizer("scaled")},
        {"n_kv_head": 2},
        {"seq_len": 64},
    ],
)
def test_settings_with_an_effect_have_their_own_key(proxy: Architecture, change: dict[str, object]) -> None:
    base = replace(proxy, layers=(Layer(),))
    assert key(replace(base, **change)) != key(base)  # type: ignore[arg-type]  # fields by name


def test_full_linear_and_fused_feed_forwards_train_differently(proxy: Architecture) -> None:
    full = replace(proxy, layers=(Layer(activation="identity", ffn="full"),))
    fused = replace(proxy, layers=(Layer(activation="identity", ffn="fused"),))
    assert key(full) != key(fused)
