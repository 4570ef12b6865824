"""Impossible architectures are refused in words that name the override and the mend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aero_search.architecture import (
    Architecture,
    Attention,
    InvalidArchitectureError,
    Layer,
    Regularizer,
    validate,
)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"d_model": 66},
            r"model.d_model=66 is not a multiple of model.n_head=4: take model.d_model=64 or 68",
        ),
        ({"n_head": 0}, r"model.n_head=0 must be at least 1"),
        ({"seq_len": -1}, r"model.seq_len=-1 must be at least 1"),
        ({"vocab_size": 70000}, r"model.vocab_size=70000 is above 65536"),
        ({"n_kv_head": 3}, r"model.n_kv_head=3 does not divide model.n_head=4: take one of 1, 2, 4"),
        ({"layers": ()}, r"model.n_layer=0 must be at least 1"),
        ({"ffn_ratio": 0.0}, r"model.ffn_ratio=0 must be above 0"),
        ({"attention": Attention(temperature_init=0.0)}, r"attention.temperature_init=0 must be above 0"),
        ({"regularizer": Regularizer(weight=-1)}, r"regularizer.weight=-1 must be 0"),
        ({"regularizer": Regularizer(every=0)}, r"regularizer.every=0 must be at least 1"),
        ({"regularizer": Regularizer(margin=1.0)}, r"regularizer.margin=1 must be"),
        ({"family": "pythia", "d_model": 16}, r"must be a multiple of 8 for pythia"),
    ],
)
def test_refusals_name_the_field_and_the_mend(proxy: Architecture, change: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidArchitectureError, match=says):
        validate(replace(proxy, **change))


def test_a_sound_architecture_comes_back_unchanged(proxy: Architecture) -> None:
    assert validate(proxy) is proxy


@pytest.mark.parametrize("share", [1e-12, 0.4, 1.5, -0.5])
def test_a_rotated_share_is_whole_pairs_of_channels(share: float) -> None:
    a = Architecture(n_head=2, d_model=16, seq_len=8, vocab_size=40, layers=(Layer(),), rotary_share=share)
    with pytest.raises(InvalidArchitectureError, match=r"^model.rotary_share="):
        validate(a)
