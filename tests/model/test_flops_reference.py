"""fvcore, torch's counter and arithmetic by hand count the same FLOPs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from aero_search.architecture import Architecture, Attention, Layer, Stabilizer
from aero_search.model import build_model, fold
from tests.model.flops_reference import flop_counter_flops, fvcore_flops
from tests.model.helpers import tiny

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*", "ignore::torch.jit.TracerWarning")


def by_hand(a: Architecture) -> dict[str, Any]:
    d, T = a.d_model, a.seq_len
    per_token = {"full": (3 if a.gated else 2) * d * a.d_ff, "fused": d * d, "none": 0}
    projections = 2 * d * d if a.attention.value_projection == "full" else d * d
    kv = (2 if a.attention.value_projection == "full" else 1) * d * a.kv_heads * a.d_head
    return {
        "ffn": 2 * T * sum(per_token[layer.ffn] for layer in a.layers),
        "projections": 2 * T * a.n_layer * (projections + kv),
        "products": 2 * a.n_layer * 2 * T * T * d,
        "lm_head": 2 * T * d * a.vocab_size,
    }


@pytest.mark.parametrize(
    "architecture",
    [
        tiny(norm="layernorm", activation="gelu"),
        tiny(family="pythia", stabilizer=Stabilizer("scaled"), tied_embeddings=False),
        tiny(norm="rmsnorm", family="llama", gated=True, ffn_ratio=2.5, n_head=4, n_kv_head=2),
        tiny(layers=(Layer("none", "identity", "fused"), Layer("none", "identity", "none"))),
        tiny(attention=Attention("identity", shaped=True, temperature="learned")),
        tiny(stabilizer=Stabilizer("weight_norm", "qkvo+ffn")),
        tiny(stabilizer=Stabilizer("spectral_norm", "qkvo+ffn")),
    ],
)
def test_three_counts_agree(architecture: Architecture) -> None:
    expected = by_hand(architecture)
    counted = fvcore_flops(build_model(architecture, seed=0), architecture)
    assert {part: counted[part] for part in expected} == expected
    assert counted["total"] == sum(expected.values()) == flop_counter_flops(architecture)
    # Everything left out works element by element, moves data, or finds a spectral norm (folded away later).
    elementwise = "add mul div gelu relu cumsum embedding sub norm exp clone repeat mv vdot"
    for name in counted["unsupported_ops"]:
        assert any(word in name for word in elementwise.split()), name


def test_folding_two_linears_saves_seven_eighths() -> None:
    architecture = tiny(activation="identity")
    model = build_model(architecture, seed=0)
    folded = fold(model)
    before, after = (fvcore_flops(m, m.architecture)["ffn"] for m in (model, folded))
    assert before == 8 * after


def test_gpt2_small_feed_forwards_are_the_published_ones() -> None:
    layers = tuple(Layer("layernorm", "gelu") for _ in range(12))
    architecture = Architecture(n_head=12, d_model=768, seq_len=128, vocab_size=50257, layers=layers)
    with torch.device("meta"):
        model = build_model(architecture, seed=0)
    assert round(fvcore_flops(model, architecture)["ffn"] / 1e9, 1) == 14.5
