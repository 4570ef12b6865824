"""Feed-forwards in two factors: the published form, their start, folding, carried weights, prices."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from aero_search.architecture import (
    InvalidArchitectureError,
    Layer,
    ModelShape,
    Stabilizer,
    key,
    notation,
    parse_notation,
    retarget,
    validate,
)
from aero_search.cost import flops, inventory
from aero_search.init.carry import carry
from aero_search.model import build_model, count_parameters, fold
from aero_search.model.low_rank import LowRank
from aero_search.search.known_cost.features import matrix_parameters
from tests.model.helpers import batch, tiny, train
from tests.model.test_folding import far_from_the_start

KINDS = (
    Layer("layernorm", "gelu"),
    Layer("static", "identity"),
    Layer("none", "identity"),
    Layer("none", "identity", "fused"),
    Layer("none", "identity", "none"),
)


@pytest.mark.parametrize("gated", [False, True])
def test_it_computes_and_learns_what_the_products_of_its_factors_do(gated: bool) -> None:
    a = tiny(norm="layernorm", ffn_rank=5, gated=gated)
    model = far_from_the_start(build_model(a, seed=0).double())
    whole = build_model(replace(a, ffn_rank=0), seed=1).double().eval()
    state = model.state_dict()
    products = [name.removesuffix(".first.weight") for name in state if name.endswith(".first.weight")]
    assert len(products) == 2 * (3 if gated else 2)
    for name in products:
        first, second = state.pop(f"{name}.first.weight"), state.pop(f"{name}.second.weight")
        state |= {f"{name}.weight": second @ first, f"{name}.bias": state.pop(f"{name}.second.bias")}
    whole.load_state_dict(state)
    inputs_bt, targets_bt = batch()
    found, expected = model.loss(inputs_bt, targets_bt), whole.loss(inputs_bt, targets_bt)
    torch.testing.assert_close(found.total, expected.total)
    found.total.backward()
    expected.total.backward()
    gradients, theirs = dict(model.named_parameters()), dict(whole.named_parameters())
    for name in products:
        first, second = gradients[f"{name}.first.weight"], gradients[f"{name}.second.weight"]
        upstream = theirs[f"{name}.weight"].grad
        torch.testing.assert_close(first.grad, second.T @ upstream, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(second.grad, upstream @ first.T, atol=1e-6, rtol=1e-6)


def test_the_product_starts_as_a_whole_weight_does() -> None:
    model = build_model(tiny(d_model=128, ffn_rank=32), seed=0, init_std=0.05)
    linear = model.decoder_layers()[0].feed_forward.up  # type: ignore[union-attr] # it has one
    assert isinstance(linear, LowRank)
    assert float(linear.weight.detach().std()) == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize("stabilizer", ["none", "scaled", "weight_norm", "spectral_norm"])
@pytest.mark.parametrize(("family", "gated"), [("gpt2", False), ("llama", True), ("llama", False)])
def test_it_trains_and_folds(family: str, gated: bool, stabilizer: str) -> None:
    a = tiny(layers=KINDS, family=family, gated=gated, ffn_rank=5, stabilizer=Stabilizer(stabilizer))  # type: ignore[arg-type] # by name
    model = build_model(a, seed=0)
    losses = train(model, steps=10)
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]
    model = far_from_the_start(model.double())
    inputs_bt, _ = batch()
    folded = fold(model)
    with torch.no_grad():
        torch.testing.assert_close(folded(inputs_bt), model(inputs_bt), atol=1e-9, rtol=1e-9)
    if not gated:
        fused = folded.decoder_layers()[1].feed_forward.fused  # type: ignore[union-attr] # it is fused
        assert isinstance(fused, LowRank)


@pytest.mark.parametrize("gated", [False, True])
def test_it_is_named_and_counted(gated: bool) -> None:
    a = tiny(n_layer=1, ffn_rank=5, gated=gated)
    assert "ffn_rank=5" in notation(a)
    assert key(parse_notation(notation(a), a)) == key(a) != key(replace(a, ffn_rank=0))
    wide, beside = (10, 2) if gated else (5, 1)
    products = [(o.name, o.shape, o.count) for o in inventory(a) if o.part == "feed_forward"]
    assert products == [
        ("up_in", (12, 16, wide), 1),
        ("up", (12, 5, 64), beside),
        ("down_in", (12, 64, 5), 1),
        ("down", (12, 5, 16), 1),
    ]
    matrices = 5 * (16 + 64) * (3 if gated else 2)
    assert flops(a).ffn == 2 * 12 * matrices
    none = replace(a, layers=(Layer("none", "identity", "none"),))
    assert matrix_parameters(a) - matrix_parameters(none) == matrices
    # Biases beside, and nothing else.
    biases = 64 * (2 if gated else 1) + 16
    assert count_parameters(build_model(a)) - count_parameters(build_model(none)) == matrices + biases
    assert key(none) == key(replace(none, ffn_rank=0))


@pytest.mark.parametrize(("rank", "there"), [(0, 0), (4, 16), (16, 64)])
def test_at_another_width_a_rank_keeps_its_share(rank: int, there: int) -> None:
    shape = ModelShape("wide", "gpt2", 2, 2, None, 64, 12, 31, True)
    assert retarget(tiny(ffn_rank=rank), shape).ffn_rank == there


def test_a_weight_of_that_rank_is_carried_as_it_is() -> None:
    inputs_bt, _ = batch()
    a = tiny(norm="layernorm", ffn_rank=5)
    teacher = far_from_the_start(build_model(a, seed=0))
    whole = build_model(replace(a, ffn_rank=0), seed=1)
    carry(teacher, whole, inputs_bt)
    student = build_model(a, seed=2)
    carry(whole, student, inputs_bt)
    for one in (whole, student):
        torch.testing.assert_close(one(inputs_bt), teacher(inputs_bt), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("rank", "says"), [(-1, "at least 0"), (17, "at most 16")])
def test_what_is_no_rank_is_refused(rank: int, says: str) -> None:
    with pytest.raises(InvalidArchitectureError, match=rf"ffn\.rank={rank} must be {says}"):
        validate(tiny(ffn_rank=rank))
