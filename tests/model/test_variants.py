"""Every architecture of the family: it trains, is saved and loaded, and folds to the same logits."""

from __future__ import annotations

import math
from itertools import product
from typing import get_args

import pytest
import torch

from aero_search.architecture import Architecture, Attention, Layer, Regularizer, Stabilizer, notation
from aero_search.architecture.operations import ACTIVATIONS, NORMS
from aero_search.architecture.spec import StabilizerTargets
from aero_search.model import build_model, fold, load_weights, save_weights
from tests.model.helpers import batch, tiny, train

FAMILIES = ("gpt2", "pythia", "llama")
# Each activation in a full feed-forward, then the feed-forwards without one.
FEED_FORWARDS = [(activation, "full") for activation in ACTIVATIONS]
FEED_FORWARDS += [("identity", "fused"), ("identity", "none")]
TARGETS = get_args(StabilizerTargets)
STABILIZERS = [Stabilizer("scaled")]
STABILIZERS += [Stabilizer(kind, targets) for kind in ("weight_norm", "spectral_norm") for targets in TARGETS]
TEMPERED = Attention(temperature="learned", temperature_init=0.3)
ATTENTIONS = [
    TEMPERED,
    Attention(value_projection="identity"),
    Attention(value_projection="identity", shaped=True),
    Attention(shaped=True, temperature="learned"),
]
REGULARIZED = Regularizer(weight=0.02)


def architectures() -> list[Architecture]:
    grid = [
        tiny(norm=norm, activation=activation, ffn=ffn, family=family)
        for family, norm, (activation, ffn) in product(FAMILIES, NORMS, FEED_FORWARDS)
        if norm in ("layernorm", "none") or activation in ("relu", "identity")
    ]
    for family, stabilizer in product(FAMILIES, STABILIZERS):
        grid.append(tiny(family=family, stabilizer=stabilizer))
    for stabilizer, attention in product(STABILIZERS[:2] + STABILIZERS[-1:], ATTENTIONS):
        grid.append(tiny(activation="identity", stabilizer=stabilizer, attention=attention))
    for norm, final_norm, family in product(NORMS, NORMS, ("gpt2", "pythia")):
        scaled = Stabilizer("scaled")
        grid.append(tiny(norm=norm, final_norm=final_norm, family=family, stabilizer=scaled))
    for norm, family in product(("layernorm", "rmsnorm", "none"), ("gpt2", "pythia")):
        # The values of the other norms have no linear to fold into, which validity refuses.
        values = Attention(value_projection="identity")
        grid.append(
            tiny(norm=norm, ffn="fused", family=family, stabilizer=Stabilizer("scaled"), attention=values)
        )
    grid += [
        tiny(norm="rmsnorm", activation=activation, gated=True, ffn_ratio=1.5, family="llama")
        for activation in ACTIVATIONS
    ]
    grid.append(tiny(family="llama", n_head=4, n_kv_head=1, regularizer=REGULARIZED, tied_embeddings=False))
    for ffn, norm in product(("full", "fused"), NORMS):
        grid.append(
            tiny(
                norm=norm,
                activation="identity",
                ffn=ffn,
                stabilizer=Stabilizer("scaled"),
                attention=TEMPERED,
                regularizer=REGULARIZED,
            )
        )
    mixed = (
        Layer("layernorm", "gelu"),
        Layer("none", "leaky_relu_shared"),
        Layer("none", "identity", "none"),
    )
    grid.append(tiny(layers=mixed, stabilizer=Stabilizer("scaled"), attention=TEMPERED))
    return grid


@pytest.mark.parametrize("architecture", architectures(), ids=lambda a: f"{a.family}: {notation(a)}")
def test_trains_saves_loads_and_folds(architecture: Architecture, tmp_path) -> None:
    model = build_model(architecture, seed=0)
    losses = train(model, steps=20)
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]

    model.eval()
    inputs_bt, _ = batch(seed=1)
    with torch.no_grad():
        logits_btv = model(inputs_bt)
        with_entropy_btv, _ = model.forward_with_entropy(inputs_bt)
        torch.testing.assert_close(with_entropy_btv, logits_btv, atol=1e-5, rtol=1e-5)

        path = tmp_path / "weights.safetensors"
        save_weights(model, path)
        loaded = build_model(architecture, seed=1).eval()
        load_weights(loaded, path)
        assert torch.equal(loaded(inputs_bt), logits_btv)

        folded = fold(model)
        torch.testing.assert_close(folded(inputs_bt), logits_btv, atol=1e-5, rtol=1e-5)
        assert torch.equal(model(inputs_bt), logits_btv), "folding changed the model"
