"""The cross-entropy in chunks against torch's own, and where it stands aside."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from aero_search.architecture import Architecture, Layer
from aero_search.model import build_model
from aero_search.model.head_loss import CHUNK_ELEMENTS, LARGEST_VOCABULARY, head_cross_entropy


def drawn(rows: int, vocabulary: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x_btc = torch.randn(2, rows // 2, 8, generator=generator)
    weight_vc = torch.randn(vocabulary, 8, generator=generator) * scale
    targets_bt = torch.randint(vocabulary, (2, rows // 2), generator=generator)
    return x_btc.requires_grad_(), weight_vc.requires_grad_(), targets_bt


# Fewer rows than a chunk, whole chunks, and a last one that is not full.
@pytest.mark.parametrize(
    ("rows", "vocabulary"), [(10, 40), (512, 1024), (300, 1024), (130, LARGEST_VOCABULARY)]
)
@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_chunks_give_torchs_loss_and_gradients(rows: int, vocabulary: int, scale: float) -> None:
    x_btc, weight_vc, targets_bt = drawn(rows, vocabulary, scale)
    loss = head_cross_entropy(x_btc, weight_vc, targets_bt)
    assert loss is not None
    found = torch.autograd.grad(3.0 * loss, (x_btc, weight_vc))
    double_x, double_w = (
        x_btc.detach().double().requires_grad_(),
        weight_vc.detach().double().requires_grad_(),
    )
    exact = F.cross_entropy(F.linear(double_x, double_w).flatten(0, 1), targets_bt.flatten())
    expected = torch.autograd.grad(3.0 * exact, (double_x, double_w))
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)
    for gradient, reference in zip(found, expected, strict=True):
        assert float((gradient - reference).abs().max()) < 1e-4 * float(reference.abs().max())


def test_a_large_loss_stays_a_number_and_a_broken_one_does_not() -> None:
    x_btc, weight_vc = torch.full((1, 1, 1), 1.0, requires_grad=True), torch.tensor([[500.0], [0.0]])
    loss = head_cross_entropy(x_btc, weight_vc, torch.tensor([[1]]))
    assert loss is not None
    assert loss.item() == 500.0
    broken = head_cross_entropy(x_btc, weight_vc * float("nan"), torch.tensor([[1]]))
    assert broken is not None
    assert not torch.isfinite(broken)


def test_a_frozen_head_gets_no_gradient() -> None:
    x_btc, weight_vc, targets_bt = drawn(10, 40)
    frozen = weight_vc.detach()
    loss = head_cross_entropy(x_btc, frozen, targets_bt)
    assert loss is not None
    loss.backward()
    expected = F.cross_entropy(F.linear(x_btc, frozen).flatten(0, 1), targets_bt.flatten())
    assert torch.allclose(x_btc.grad, torch.autograd.grad(expected, x_btc)[0], atol=1e-6)


def test_chunks_stand_aside_where_they_are_of_no_use() -> None:
    x_btc, weight_vc, targets_bt = drawn(10, 40)
    assert head_cross_entropy(x_btc.double(), weight_vc.double(), targets_bt) is None
    assert head_cross_entropy(x_btc, torch.zeros(LARGEST_VOCABULARY + 1, 8), targets_bt) is None
    with torch.no_grad():
        assert head_cross_entropy(x_btc, weight_vc, targets_bt) is None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert head_cross_entropy(x_btc, weight_vc, targets_bt) is None
    # What cross-entropy passes over: the text of a labelled sequence.
    assert head_cross_entropy(x_btc, weight_vc, targets_bt.masked_fill(targets_bt > 3, -100)) is None
    assert CHUNK_ELEMENTS // LARGEST_VOCABULARY == 64


@pytest.mark.parametrize("tied", [True, False])
def test_a_decoders_loss_is_that_of_its_logits(tied: bool) -> None:
    architecture = Architecture(n_head=2, d_model=16, seq_len=8, vocab_size=40, layers=(Layer(),) * 2)
    model = build_model(replace(architecture, tied_embeddings=tied), seed=0)
    tokens_bt = torch.randint(40, (3, 9), generator=torch.Generator().manual_seed(0))
    inputs_bt, targets_bt = tokens_bt[:, :-1], tokens_bt[:, 1:]
    gradients = []
    for with_logits in (False, True):
        loss = model.loss(inputs_bt, targets_bt, with_logits=with_logits)
        gradients.append(torch.autograd.grad(loss.total, list(model.parameters())))
        assert (loss.logits_btv is not None) == with_logits
        assert loss.cross_entropy.item() == pytest.approx(
            F.cross_entropy(model(inputs_bt).flatten(0, 1), targets_bt.flatten()).item(), rel=1e-6
        )
    for chunked, whole in zip(*gradients, strict=True):
        assert torch.allclose(chunked, whole, atol=1e-6)
