"""Normalized queries and keys: the published form, gradients, folding, and what they exclude."""

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
    Stabilizer,
    key,
    notation,
    parse_notation,
    validate,
)
from aero_search.architecture.operations import NORMS
from aero_search.cost import flops, inventory
from aero_search.cost.flops import nonlinear_operations
from aero_search.model import build_model, fold
from aero_search.model.attention import Attention as SelfAttention
from aero_search.model.running_norms import running_norms
from tests.model.helpers import batch, tiny, train
from tests.model.test_folding import far_from_the_start

ABLE = ("layernorm", "rmsnorm", "batchnorm", "static")


def normed(qk_norm: str, **fields: object):
    return tiny(attention=Attention(qk_norm=qk_norm), **({"n_head": 4, "d_model": 32} | fields))


def by_hand(norm: str, x_d: Tensor, weight_d: Tensor, bias_d: Tensor | None) -> Tensor:
    """One query or key."""
    centred_d = x_d - x_d.mean() if norm == "layernorm" else x_d
    eps = 1e-5 if norm == "layernorm" else 1e-6
    scaled_d = centred_d / (centred_d.square().mean() + eps).sqrt() * weight_d
    return scaled_d if bias_d is None else scaled_d + bias_d


@pytest.mark.parametrize("norm", ["layernorm", "rmsnorm"])
def test_scores_and_gradients_are_those_of_the_definition(norm: str) -> None:
    """softmax(norm(q) norm(k)^T / sqrt(d)) in every head, positions after the norm (Dehghani et al., section 2)."""
    a = normed(norm, norm="none", n_kv_head=2)
    model = far_from_the_start(build_model(a, seed=0).double())
    attention = model.decoder_layers()[0].attention
    assert isinstance(attention, SelfAttention)
    x_btc = torch.randn(1, 5, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inputs = [x_btc.clone().requires_grad_() for _ in range(2)]
    ours, _ = attention(inputs[0])

    def heads(linear: torch.nn.Linear, count: int) -> Tensor:
        return linear(inputs[1])[0].unflatten(-1, (count, 8))

    q, k, v = heads(attention.query, 4), heads(attention.key, 2), heads(attention.value, 2)  # type: ignore[arg-type] # it has values
    rows = []
    for t in range(5):
        out = []
        for h in range(4):
            parts = [
                [norm_d.weight, getattr(norm_d, "bias", None)]
                for norm_d in (attention.query_norm, attention.key_norm)
            ]
            query_d = by_hand(norm, q[t, h], *parts[0])  # type: ignore[arg-type]
            keys = [by_hand(norm, k[s, h // 2], *parts[1]) for s in range(t + 1)]  # type: ignore[arg-type]
            p_s = torch.softmax(torch.stack([query_d @ key_d for key_d in keys]) / math.sqrt(8), dim=0)
            out.append(p_s @ v[: t + 1, h // 2])
        rows.append(torch.cat(out))
    theirs = attention.output(torch.stack(rows))[None]  # type: ignore[misc] # it has an output
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)
    upstream = torch.randn(ours.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    tensors = [*attention.parameters()]
    found = torch.autograd.grad((ours * upstream).sum(), [inputs[0], *tensors])
    expected = torch.autograd.grad((theirs * upstream).sum(), [inputs[1], *tensors])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("stabilizer", ["scaled", "spectral_norm"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("norm", ABLE)
def test_it_trains_causally_and_folds(norm: str, family: str, stabilizer: str) -> None:
    attention = Attention(qk_norm=norm, temperature="learned", temperature_init=0.3)
    kinds = (Layer("batchnorm", "relu"), Layer("none", "identity", "fused", "relu_count"))
    a = tiny(
        n_head=4,
        d_model=32,
        n_kv_head=2,
        family=family,
        layers=kinds,
        attention=attention,
        stabilizer=Stabilizer(stabilizer, "qk+ffn"),  # type: ignore[arg-type] # by name
    )
    model = build_model(a, seed=0)
    losses = train(model, steps=10)
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]
    model = far_from_the_start(model.double())
    tokens_bt, _ = batch()
    changed_bt = tokens_bt.clone()
    changed_bt[:, -1] = (changed_bt[:, -1] + 1) % a.vocab_size
    with torch.no_grad():
        logits_btv = model(tokens_bt)
        torch.testing.assert_close(model(changed_bt)[:, :-1], logits_btv[:, :-1])
        folded = fold(model)
        torch.testing.assert_close(folded(tokens_bt), logits_btv, atol=1e-9, rtol=1e-9)
    if NORMS[norm].operation is None:
        assert not running_norms(folded)


@pytest.mark.parametrize("norm", ABLE)
def test_it_is_named_and_counted(norm: str) -> None:
    a = normed(norm, n_kv_head=2)
    plain = replace(a, attention=Attention())
    assert f"QKNorm({NORMS[norm].term})" in notation(a)
    assert key(parse_notation(notation(a), plain)) == key(a) != key(plain)
    found = [o for o in inventory(a) if o.name == "qk_norm"]
    card = NORMS[norm]
    if card.operation is None:
        assert not found
        assert flops(a) == flops(plain)
        return
    assert [(o.kind, o.shape, o.count) for o in found] == [(card.operation, (12, 8), 6)] * 2
    assert nonlinear_operations(a)[f"qk_{norm}"].count == 12
    assert flops(a).total == flops(plain).total
    assert flops(a).norm - flops(plain).norm == card.flops_per_element * 2 * 12 * 8 * 6
    (decoded,) = {o.shape for o in inventory(a, decode=True) if o.name == "qk_norm"}
    assert decoded == (1, 8)


def test_without_attention_there_is_nothing_to_normalize() -> None:
    layers = (Layer(attention="none"),) * 2
    assert key(normed("rmsnorm", layers=layers)) == key(tiny(n_head=4, d_model=32, layers=layers))


@pytest.mark.parametrize(
    ("attention", "says"),
    [
        (
            Attention(qk_norm="dyt"),
            r"attention\.qk_norm=dyt cannot normalize .*: take one of layernorm, rmsnorm, none, batchnorm",
        ),
        (Attention(qk_norm="rsmnorm"), r"attention\.qk_norm=rsmnorm is not a known norm.*rmsnorm"),
        (
            Attention(qk_norm="rmsnorm", shaped=True),
            r"attention\.qk_norm=rmsnorm and attention\.shaped=true exclude each other",
        ),
    ],
)
def test_what_cannot_be_is_refused(attention: Attention, says: str) -> None:
    with pytest.raises(InvalidArchitectureError, match=says):
        validate(tiny(attention=attention))
