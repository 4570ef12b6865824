"""Attention that is not softmax: closed forms, causal, sound gradients, and what it excludes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from aero_search.architecture import (
    Attention,
    InvalidArchitectureError,
    Layer,
    Regularizer,
    Stabilizer,
    canonical,
    key,
    notation,
    parse_notation,
    validate,
)
from aero_search.architecture.operations import ATTENTIONS, NONE, SOFTMAX
from aero_search.cost import flops, inventory
from aero_search.model import build_model, fold
from aero_search.model.attention_kinds import WEIGHERS, causal, row_entropy
from aero_search.model.attention_weights import EPSILON, SQUARE_SHIFT
from tests.model.helpers import batch, tiny, train

KINDS = [kind for kind in ATTENTIONS if kind not in (SOFTMAX, NONE)]
DOUBLE = {"dtype": torch.float64, "requires_grad": True}


def with_kind(kind: str, **fields: object):
    base = tiny(**fields)
    return replace(base, layers=tuple(replace(layer, attention=kind) for layer in base.layers))


def row(kind: str, z: list[Tensor]) -> list[Tensor]:
    """The weights of one row over the keys it sees, in scalars."""
    if kind == SOFTMAX:
        total = sum(x.exp() for x in z)
        return [x.exp() / total for x in z]
    positive = [torch.where(x > 0, x, torch.zeros_like(x)) for x in z]
    free = {
        "relu_count": [x / len(z) for x in positive],
        "linear": [x / len(z) for x in z],
        "sigmoid": [1 / (1 + len(z) * (-x).exp()) for x in z],
    }
    if kind in free:
        return free[kind]
    shift, exponent = {"square_sum": (SQUARE_SHIFT, 2), "power": (0.0, 2), "power4": (0.0, 4)}.get(
        kind, (0.0, 1)
    )
    terms = positive if kind == "relu_sum" else [(x + shift) ** exponent for x in z]
    return [x / (sum(terms) + EPSILON) for x in terms]


@pytest.mark.parametrize("kind", [SOFTMAX, *KINDS])
def test_weights_and_gradients_are_those_of_the_definition(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    z_bhts = torch.randn(2, 3, 5, 5, generator=generator, **DOUBLE)  # type: ignore[call-overload]
    upstream = torch.randn(2, 3, 5, 5, generator=generator, dtype=torch.float64)
    a_bhts = WEIGHERS[kind](z_bhts, causal(5, z_bhts.device))
    expected = torch.zeros_like(upstream)
    for b, h, t in [(b, h, t) for b in range(2) for h in range(3) for t in range(5)]:
        for s, weight in enumerate(row(kind, [z_bhts[b, h, t, s] for s in range(t + 1)])):
            expected[b, h, t, s] = weight
    torch.testing.assert_close(a_bhts, expected, atol=1e-12, rtol=1e-12)
    (ours,) = torch.autograd.grad((a_bhts * upstream).sum(), z_bhts, retain_graph=True)
    (theirs,) = torch.autograd.grad((expected * upstream).sum(), z_bhts)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)
    assert (ours.triu(1) == 0).all()


@pytest.mark.parametrize("kind", [SOFTMAX, *KINDS])
@pytest.mark.parametrize("score", [-3.0, 0.0, -SQUARE_SHIFT, 1e4])
def test_a_row_of_any_scores_has_finite_weights_and_gradients(kind: str, score: float) -> None:
    z_bhts = torch.full((1, 1, 4, 4), score, requires_grad=True)
    a_bhts = WEIGHERS[kind](z_bhts, causal(4, z_bhts.device))
    (gradient,) = torch.autograd.grad(a_bhts.square().sum(), z_bhts)
    assert torch.isfinite(a_bhts).all()
    assert torch.isfinite(gradient).all()
    entropy_bht = row_entropy(a_bhts)
    unseen = torch.zeros(4, 4, dtype=torch.bool)
    nothing = WEIGHERS[kind](z_bhts, unseen)
    (gradient,) = torch.autograd.grad(nothing.sum(), z_bhts)
    assert (nothing == 0).all()
    assert torch.isfinite(gradient).all()
    assert (entropy_bht >= 0).all()
    assert (entropy_bht[0, 0] <= torch.arange(1, 5).log() + 1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
def test_it_trains_causally_and_folds(kind: str) -> None:
    architecture = with_kind(
        kind,
        norm="none",
        stabilizer=Stabilizer("scaled"),
        attention=Attention(temperature="learned", temperature_init=0.3),
    )
    model = build_model(architecture, seed=0)
    losses = train(model, steps=10)
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]
    tokens_bt, _ = batch()
    changed_bt = tokens_bt.clone()
    changed_bt[:, -1] = (changed_bt[:, -1] + 1) % architecture.vocab_size
    model.eval()
    with torch.no_grad():
        logits_btv = model(tokens_bt)
        torch.testing.assert_close(model(changed_bt)[:, :-1], logits_btv[:, :-1])
        torch.testing.assert_close(fold(model)(tokens_bt), logits_btv, atol=1e-5, rtol=1e-5)
        assert model.head_entropy(tokens_bt).isfinite().all()


def test_scores_over_their_sum_have_no_temperature() -> None:
    learned = Attention(temperature="learned")
    assert key(with_kind("relu_sum", attention=learned)) == key(with_kind("relu_sum"))
    assert key(with_kind("relu_count", attention=learned)) != key(with_kind("relu_count"))
    mixed = tiny(layers=(Layer(), Layer(attention="relu_sum")), attention=learned)
    model = build_model(mixed, seed=0)
    assert [layer.attention.temperature is None for layer in model.decoder_layers()] == [False, True]
    assert sum(operation.name == "temperature" for operation in inventory(mixed)) == 1
    tokens_bt, _ = batch()
    with torch.no_grad():
        torch.testing.assert_close(fold(model)(tokens_bt), model.eval()(tokens_bt), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_named_and_counted(kind: str) -> None:
    a = with_kind(kind)
    term = ATTENTIONS[kind].term
    assert notation(a).startswith(f"{term} + ")
    assert key(parse_notation(notation(a), a)) == key(a)
    assert key(a) != key(tiny())
    assert flops(a) == flops(tiny())
    listed = [operation for operation in inventory(a) if operation.part == "softmax"]
    operation = ATTENTIONS[kind].operation
    assert {(o.kind, o.shape, o.count) for o in listed} == {(operation, (a.seq_len, a.seq_len), a.n_head)}
    mixed = replace(a, layers=(replace(a.layers[0], attention=SOFTMAX), *a.layers[1:]))
    assert f"[attention=softmax/{kind}]" in notation(mixed)
    assert key(parse_notation(notation(mixed), mixed)) == key(mixed)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            {"regularizer": Regularizer(0.02)},
            "attention.kind=relu_sum and regularizer.weight above 0 exclude",
        ),
        ({"attention": Attention(shaped=True)}, "attention.kind=relu_sum and attention.shaped=true exclude"),
    ],
)
def test_what_is_made_for_softmax_is_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidArchitectureError, match=says):
        validate(with_kind("relu_sum", **fields))


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_heads_keep_softmax(kind: str) -> None:
    learned = Attention(temperature="learned", temperature_init=0.5, softmax_heads=1)
    a = with_kind(kind, norm="layernorm", attention=learned)
    listed = [(o.kind, o.count) for o in inventory(a) if o.part == "softmax" and o.layer == 0]
    assert listed == [(SOFTMAX, 1), (ATTENTIONS[kind].operation, 1)]
    assert key(a) != key(replace(a, attention=replace(learned, softmax_heads=0)))
    assert "attention.softmax_heads=1" in notation(a)
    assert parse_notation(notation(a), a) == canonical(a)
    whole = replace(a, attention=replace(learned, softmax_heads=2))
    assert key(whole) == key(tiny(norm="layernorm", attention=replace(learned, softmax_heads=0)))
    model = build_model(a, seed=0)
    attention = model.decoder_layers()[0].attention
    assert attention is not None
    assert attention.weigh is not None
    z_bhts = torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    visible = causal(4, z_bhts.device)
    expected = torch.cat(
        [WEIGHERS[SOFTMAX](z_bhts[:, :1], visible), WEIGHERS[kind](z_bhts[:, 1:], visible)], dim=1
    )
    torch.testing.assert_close(attention.weigh(z_bhts, visible), expected)


def test_what_too_many_softmax_heads_are_told() -> None:
    with pytest.raises(InvalidArchitectureError, match=r"attention\.softmax_heads=3 must .* 2"):
        validate(with_kind("relu_sum", attention=Attention(softmax_heads=3)))


def test_layers_without_attention() -> None:
    layers = (Layer(), Layer(attention=NONE), Layer(ffn="none", attention=NONE), Layer(activation="relu"))
    a = tiny(
        layers=layers,
        attention=Attention(temperature="learned"),
        stabilizer=Stabilizer("scaled"),
        norm="layernorm",
    )
    assert canonical(a).layers[-1].is_empty
    assert key(a) == key(replace(a, layers=(*layers[:2], layers[3], layers[2])))
    assert parse_notation(notation(a), a) == canonical(a)
    listed = inventory(canonical(a))
    assert {o.layer for o in listed if o.part == "softmax"} == {0, 2}
    assert {o.name for o in listed if o.layer == 1} == {"ffn_norm", "up", "activation", "down"}
    assert not [o for o in listed if o.layer == 3]
    model = build_model(a, seed=0)
    losses = train(model, steps=10)
    assert losses[-1] < losses[0]
    tokens_bt, targets_bt = batch()
    with torch.no_grad():
        torch.testing.assert_close(fold(model)(tokens_bt), model.eval()(tokens_bt), atol=1e-5, rtol=1e-5)
    assert model.head_entropy(tokens_bt).shape == (2, 2)
    penalized = build_model(replace(a, regularizer=Regularizer(0.02)), seed=0)
    assert penalized.thresholds_lh is not None
    assert penalized.thresholds_lh.shape == (2, 2)
    assert penalized.loss(tokens_bt, targets_bt).penalty > 0


def test_a_network_without_any_attention() -> None:
    bare = with_kind(NONE)
    settings = Attention("identity", True, "learned", softmax_heads=1)
    assert key(replace(bare, attention=settings, regularizer=Regularizer(0.02))) == key(bare)
    assert notation(bare) == "NoAttn + R"
    model = build_model(bare, seed=0)
    losses = train(model, steps=10)
    assert losses[-1] < losses[0]
    assert model.head_entropy(batch()[0]).shape == (0, 2)
    empty = replace(bare, layers=(Layer(ffn="none", attention=NONE),) * 2)
    with pytest.raises(InvalidArchitectureError, match="in every layer leave no network"):
        validate(empty)
    assert not [c for c in whatif_candidates(bare) if all(layer.is_empty for layer in c.layers)]


def whatif_candidates(a):
    from aero_search.cost.whatif import _candidates

    return [candidate.architecture for candidate in _candidates(a)]
