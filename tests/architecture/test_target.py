"""The same choices at another size: relative depth, and what is the shape's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aero_search.architecture import (
    Architecture,
    Layer,
    ModelShape,
    canonical,
    notation,
    parse_notation,
    retarget,
)
from aero_search.architecture.target import depths
from aero_search.errors import RequestError
from tests.architecture.strategies import architectures

GPT2_SMALL = ModelShape("gpt2_small", "gpt2", 12, 12, None, 768, 128, 50257, True)
counts = st.integers(1, 40)


@given(counts, counts)
def test_depths_never_fall_and_lie_in_the_proxy(n: int, m: int) -> None:
    found = depths(n, m)
    assert len(found) == m
    assert list(found) == sorted(found)
    assert all(0 <= i < n for i in found)


@given(counts)
def test_the_same_depth_is_the_identity(n: int) -> None:
    assert depths(n, n) == tuple(range(n))


@given(counts, st.integers(1, 6))
def test_a_multiple_repeats_every_layer_as_often(n: int, times: int) -> None:
    assert depths(n, n * times) == tuple(i for i in range(n) for _ in range(times))


@given(counts, counts)
def test_a_deeper_target_drops_no_layer(n: int, m: int) -> None:
    if m >= n:
        assert set(depths(n, m)) == set(range(n))


@given(counts, counts, st.data())
def test_a_first_share_keeps_its_share_to_within_half_a_layer(n: int, m: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    kept = sum(i < k for i in depths(n, m))
    # So does the last share, which is the rest.
    assert abs(kept / m - k / n) <= 1 / (2 * m) + 1e-12


@given(counts.filter(lambda n: n % 2 == 0), counts.filter(lambda m: m % 2 == 0))
def test_the_deepest_half_stays_the_deepest_half(n: int, m: int) -> None:
    layers = (Layer(),) * (n // 2) + (Layer(ffn="none"),) * (n // 2)
    small = Architecture(n_head=2, d_model=16, seq_len=8, vocab_size=300, layers=layers)
    large = retarget(small, replace(GPT2_SMALL, n_layer=m))
    assert [layer.ffn for layer in large.layers] == ["full"] * (m // 2) + ["none"] * (m // 2)


@given(architectures())
def test_its_own_shape_changes_nothing(a: Architecture) -> None:
    own = ModelShape(
        "own",
        a.family,
        a.n_layer,
        a.n_head,
        a.n_kv_head,
        a.d_model,
        a.seq_len,
        a.vocab_size,
        a.tied_embeddings,
    )
    assert retarget(a, own) == canonical(a)


@given(architectures(), st.integers(1, 24))
def test_choices_stay_and_sizes_are_the_shape_s(a: Architecture, n_layer: int) -> None:
    a = replace(a, n_kv_head=None)
    shape = replace(GPT2_SMALL, family=a.family, n_layer=n_layer)
    # A shallower model may miss the layers that a choice is made for.
    assume(n_layer >= a.n_layer)
    b = retarget(a, shape)
    assert (b.n_layer, b.n_head, b.d_model, b.seq_len, b.vocab_size) == (n_layer, 12, 768, 128, 50257)
    assert b.attention == canonical(a).attention
    assert b.regularizer == canonical(a).regularizer
    assert b.final_norm == a.final_norm
    assert set(b.layers) <= set(canonical(a).layers)


def test_the_proxy_s_pruned_name_becomes_the_target_s(proxy: Architecture) -> None:
    pruned = parse_notation("SM + ScFuFFN_i2", proxy)
    assert notation(retarget(pruned, GPT2_SMALL)) == "SM + ScFuFFN_i6"
    assert notation(retarget(parse_notation("SM + LN + G", proxy), GPT2_SMALL)) == "SM + LN + G"


def test_another_family_is_refused(proxy: Architecture) -> None:
    with pytest.raises(RequestError, match=r"objective\.target=gpt2_small is of the family pythia"):
        retarget(proxy, replace(GPT2_SMALL, family="pythia"))


def test_facets_stay_unless_the_shape_has_its_own() -> None:
    a = Architecture(
        n_head=2,
        d_model=32,
        seq_len=8,
        vocab_size=40,
        layers=(Layer(),),
        parallel_residual=True,
        rotary_share=0.5,
    )
    shape = GPT2_SMALL
    assert retarget(a, shape).wiring == a.wiring
    assert retarget(a, replace(shape, parallel_residual=True)).wiring == a.wiring
    with pytest.raises(RequestError, match="other facets"):
        retarget(a, replace(shape, biases=False))
