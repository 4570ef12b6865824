"""Our three families are the published ones: logits and gradients agree with transformers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from aero_search.model import build_model
from tests.model.helpers import LENGTH, batch, tiny

reference_models = pytest.importorskip("tests.model.reference_models", reason="needs transformers (dev)")

GPT2 = tiny(norm="layernorm", activation="gelu_tanh")
PYTHIA = tiny(norm="layernorm", activation="gelu", family="pythia", tied_embeddings=False)
LLAMA = tiny(
    norm="rmsnorm", activation="silu", family="llama", gated=True, ffn_ratio=2.5, n_head=4, n_kv_head=2,
    final_norm="rmsnorm", tied_embeddings=False,
)  # fmt: skip


@pytest.mark.parametrize(
    ("family", "architecture"),
    [
        ("gpt2", GPT2),
        ("pythia", PYTHIA),
        ("pythia", replace(PYTHIA, tied_embeddings=True)),
        ("llama", LLAMA),
        ("llama", replace(LLAMA, n_kv_head=None, tied_embeddings=True)),
    ],
)
def test_agrees_with_transformers(family: str, architecture) -> None:
    theirs = getattr(reference_models, family)(architecture)
    carry = getattr(reference_models, f"from_{family}")
    ours = build_model(architecture, seed=0)
    weights = carry(dict(theirs.named_parameters()), architecture)
    assert weights.keys() == dict(ours.named_parameters()).keys()
    ours.load_state_dict({name: tensor.detach() for name, tensor in weights.items()})

    inputs_bt, targets_bt = batch()
    logits = theirs(inputs_bt).logits
    torch.testing.assert_close(ours(inputs_bt), logits, atol=1e-5, rtol=1e-5)

    F.cross_entropy(logits.flatten(0, 1), targets_bt.flatten()).backward()
    ours.loss(inputs_bt, targets_bt).total.backward()
    gradients = carry({name: p.grad for name, p in theirs.named_parameters()}, architecture)
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], atol=1e-4, rtol=1e-4, msg=name)


def test_shorter_texts_agree_too() -> None:
    theirs = reference_models.pythia(PYTHIA)
    ours = build_model(PYTHIA)
    ours.load_state_dict(reference_models.from_pythia(dict(theirs.named_parameters()), PYTHIA))
    inputs_bt = batch()[0][:, : LENGTH - 5]
    torch.testing.assert_close(ours(inputs_bt), theirs(inputs_bt).logits, atol=1e-5, rtol=1e-5)
