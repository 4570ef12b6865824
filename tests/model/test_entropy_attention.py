"""Attention with entropy against the definition in float64, values and gradients."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from aero_search.architecture import Regularizer
from aero_search.model import attention_with_entropy, entropy_penalty, largest_entropy
from aero_search.model.entropy_attention import MAX_ROWS as BLOCK
from aero_search.model.entropy_attention import _flex_attention_with_entropy


def reference_attention(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
    """The definition, one T x T matrix after the other."""
    length = q.shape[-2]
    logits = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) / temperature[..., None]
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    log_a = logits.masked_fill(future, -1e30).log_softmax(-1)
    a = log_a.exp()
    return a @ v, -(a * log_a).sum(-1)


def reference_penalty(entropy: Tensor, thresholds: Tensor, r: Regularizer) -> Tensor:
    """The definition, number by number, for one layer."""
    batch, heads, length = entropy.shape
    total = entropy.new_zeros(())
    for h in range(heads):
        for i in range(length):
            e_max = math.log(length if r.reference == "log_t" else i + 1)
            for b in range(batch):
                deviation = entropy[b, h, i] - thresholds[h] * e_max
                size = deviation if r.sided == "one" else deviation.abs()
                if size > r.margin * e_max:
                    total = total + deviation**2
    return total / heads if r.reduction == "sum" else total / entropy.numel()


def draw(shape: tuple[int, ...], scale: float, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(3)]
    return [(x * factor).requires_grad_() for x, factor in zip(drawn, (scale, 1.0, 1.0), strict=True)]


@settings(max_examples=40)
@given(
    batch=st.integers(1, 2),
    heads=st.integers(1, 3),
    length=st.integers(1, 9) | st.sampled_from([BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3]),
    d=st.integers(1, 8),
    scale=st.sampled_from([0.1, 1.0, 20.0]),
    seed=st.integers(0, 2**31),
)
def test_output_entropy_and_gradients_equal_the_definition(batch, heads, length, d, scale, seed) -> None:
    q, k, v = draw((batch, heads, length, d), scale, seed)
    generator = torch.Generator().manual_seed(seed)
    temperature = (torch.rand(heads, length, dtype=torch.float64, generator=generator) + 0.1).requires_grad_()
    weights = torch.randn(batch, heads, length, dtype=torch.float64, generator=generator)
    results = []
    for function in (attention_with_entropy, reference_attention):
        out, entropy = function(q, k, v, temperature)
        loss = out.sin().sum() + (weights * entropy).sum()
        results.append((out, entropy, *torch.autograd.grad(loss, (q, k, v, temperature))))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


@settings(max_examples=40)
@given(
    batch=st.integers(1, 2),
    heads=st.integers(1, 3),
    length=st.integers(1, 8),
    margin=st.sampled_from([0.0, 0.2, 0.6]),
    reduction=st.sampled_from(["mean", "sum"]),
    sided=st.sampled_from(["two", "one"]),
    reference=st.sampled_from(["causal", "log_t"]),
    seed=st.integers(0, 2**31),
)
def test_penalty_and_its_gradients_equal_the_definition(
    batch, heads, length, margin, reduction, sided, reference, seed
) -> None:
    r = Regularizer(0.1, margin, reduction, sided, reference)
    q, k, v = draw((batch, heads, length, 4), 2.0, seed)
    generator = torch.Generator().manual_seed(seed)
    thresholds = torch.rand(heads, dtype=torch.float64, generator=generator).requires_grad_()
    _, entropy = attention_with_entropy(q, k, v)
    ours = entropy_penalty(entropy[None], thresholds[None], r)
    _, entropy = reference_attention(q, k, v, torch.ones(heads, length, dtype=torch.float64))
    theirs = reference_penalty(entropy, thresholds, r) + 0.0 * (q.sum() + k.sum() + thresholds.sum())
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)
    for mine, given_ in zip(
        torch.autograd.grad(ours, (q, k, thresholds)),
        torch.autograd.grad(theirs, (q, k, thresholds)),
        strict=True,
    ):
        torch.testing.assert_close(mine, given_, atol=1e-6, rtol=1e-6)


def test_gradcheck() -> None:
    q, k, v = draw((1, 2, 5, 3), 1.0, 0)
    assert torch.autograd.gradcheck(attention_with_entropy, (q, k, v))


@pytest.mark.parametrize("length", [1, 2, BLOCK, BLOCK + 7])
def test_uniform_attention_has_entropy_log_of_what_it_sees(length: int) -> None:
    q = torch.zeros(1, 2, length, 4)
    _, entropy = attention_with_entropy(q, torch.randn(1, 2, length, 4), q)
    torch.testing.assert_close(entropy[0, 0], largest_entropy(length, "causal", entropy), atol=2e-6, rtol=0)


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e5])
def test_sharp_attention_stays_finite(scale: float) -> None:
    q, k, v = (x.detach().float().requires_grad_() for x in draw((2, 2, 70, 8), scale, 1))
    out, entropy = attention_with_entropy(q, k, v)
    (out.sum() + entropy.sum()).backward()
    assert (entropy >= 0).all()
    assert all(x.isfinite().all() for x in (out, entropy, q.grad, k.grad, v.grad))


def test_output_is_scaled_dot_product_attention() -> None:
    q, k, v = (x.detach().float() for x in draw((2, 3, 100, 8), 1.0, 2))
    out, _ = attention_with_entropy(q, k, v)
    torch.testing.assert_close(
        out, F.scaled_dot_product_attention(q, k, v, is_causal=True), atol=1e-5, rtol=1e-5
    )


def test_entropy_rises_with_temperature() -> None:
    q, k, v = (x.detach() for x in draw((2, 3, 40, 8), 1.0, 3))
    temperatures = (0.01, 0.1, 0.3, 1.0, 3.0, 100.0)
    means = [attention_with_entropy(q, k, v, torch.full((3, 40), t))[1].mean() for t in temperatures]
    assert means == sorted(means)
    rows = [attention_with_entropy(q, k, v, torch.full((3, 40), t))[1] for t in (0.1, 1.0)]
    assert (rows[1] >= rows[0] - 1e-9).all()


def test_half_precision_keeps_entropy_in_single() -> None:
    q, k, v = (x.detach().bfloat16() for x in draw((1, 2, 33, 8), 1.0, 4))
    out, entropy = attention_with_entropy(q, k, v)
    assert (out.dtype, entropy.dtype) == (torch.bfloat16, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, in_autocast = attention_with_entropy(q.float(), k.float(), v.float())
    torch.testing.assert_close(entropy, in_autocast)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_attention_gives_the_same() -> None:
    q, k, v = (x.detach().float() for x in draw((2, 2, 40, 16), 1.0, 5))
    for ours, flex in zip(
        attention_with_entropy(q, k, v), _flex_attention_with_entropy(q, k, v), strict=True
    ):
        torch.testing.assert_close(ours, flex, atol=1e-5, rtol=1e-5)


def test_causal_reference_starts_at_zero_and_does_no_harm() -> None:
    e_max = largest_entropy(4, "causal", torch.zeros(()))
    torch.testing.assert_close(e_max, torch.tensor([1.0, 2.0, 3.0, 4.0]).log())
    entropy = torch.zeros(1, 2, 2, 1, requires_grad=True)
    penalty = entropy_penalty(entropy, torch.full((1, 2), 0.5), Regularizer(1.0))
    penalty.backward()
    assert penalty == 0
    assert entropy.grad is not None
    assert (entropy.grad == 0).all()


def test_the_published_sum_for_uniform_attention() -> None:
    # Uniform attention, theta 0.5, margin 0.2, T = 128, B = 32: 11,947 in the published code's convention.
    entropy = largest_entropy(128, "causal", torch.zeros(())).expand(1, 32, 1, 128)
    r = Regularizer(1e-5, reduction="sum", reference="log_t")
    penalty = entropy_penalty(entropy, torch.full((1, 1), 0.5), r)
    assert penalty.item() == pytest.approx(11_947, rel=1e-3)
