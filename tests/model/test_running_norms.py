"""Norms by running statistics: the reference in training, affine and free of the future at inference."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from aero_search.architecture import Attention, Layer, violations
from aero_search.cost import inventory
from aero_search.model import build_model
from aero_search.model.running_norms import (
    EPS,
    MOMENTUM,
    BatchNorm,
    RunningNorm,
    measured_gaps,
    running_norms,
)
from aero_search.training.average import WeightAverage
from aero_search.training.norm_health import norm_health
from tests.model.helpers import LENGTH, batch, tiny
from tests.model.helpers import train as train_briefly

WIDTH = 5


def tokens(seed: int = 0, scale: float = 1.0) -> Tensor:
    """(3 sequences, 7 positions, WIDTH), float64, of several scales and means."""
    generator = torch.Generator().manual_seed(seed)
    x_btc = torch.randn(3, 7, WIDTH, generator=generator, dtype=torch.float64)
    return scale * x_btc * torch.arange(1, WIDTH + 1) + torch.arange(WIDTH)


def reference(x_btc: Tensor, norm: BatchNorm) -> Tensor:
    """torch's own, over all sequences and positions."""
    flat = nn.functional.batch_norm(
        x_btc.flatten(0, 1), None, None, norm.weight, norm.bias, training=True, eps=EPS
    )
    return flat.view_as(x_btc)


def test_training_and_its_gradients_equal_the_reference() -> None:
    norm = BatchNorm(WIDTH, bias=True).double()
    nn.init.normal_(norm.weight)
    assert norm.bias is not None
    nn.init.normal_(norm.bias)
    x_btc = tokens().requires_grad_()
    weights_btc = torch.randn(3, 7, WIDTH, dtype=torch.float64)
    inputs = (x_btc, norm.weight, norm.bias)
    mine = torch.autograd.grad((norm(x_btc) * weights_btc).sum(), inputs)
    theirs = torch.autograd.grad((reference(x_btc, norm) * weights_btc).sum(), inputs)
    torch.testing.assert_close(norm(x_btc), reference(x_btc, norm), atol=1e-12, rtol=0)
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)
    assert torch.autograd.gradcheck(norm, x_btc, atol=1e-6)


def test_statistics_are_the_mean_of_the_first_batches_and_follow_later_ones() -> None:
    norm = BatchNorm(WIDTH, bias=False).double()
    for seed in range(4):
        norm(tokens(seed))
    assert norm.running_mean is not None
    means_c = torch.stack([tokens(seed).mean((0, 1)) for seed in range(4)]).mean(0)
    torch.testing.assert_close(norm.running_mean, means_c)
    for _ in range(1000):
        norm(tokens(9))
    before = norm.running_square.clone()
    norm(tokens(9, scale=2.0))
    after_c = before.lerp(4 * tokens(9).var((0, 1), correction=0), MOMENTUM)
    torch.testing.assert_close(norm.running_square, after_c)


def test_inference_reads_no_token_through_another() -> None:
    model = build_model(tiny(norm="batchnorm", final_norm="batchnorm"), seed=0)
    train_briefly(model, steps=3)
    inputs_bt, _ = batch()
    changed_bt = inputs_bt.clone()
    changed_bt[:, LENGTH // 2 :] = 0
    changed_bt[1:] = 0
    early = slice(0, 1), slice(0, LENGTH // 2)
    with torch.no_grad():
        assert not torch.allclose(model(inputs_bt)[early], model(changed_bt)[early])
        model.eval()
        assert torch.equal(model(inputs_bt)[early], model(changed_bt)[early])


def test_the_gap_is_the_distance_from_the_running_statistics() -> None:
    norm = BatchNorm(WIDTH, bias=True).double()
    norm(tokens())
    assert norm.gap(tokens()) < 1e-7
    # Twice the deviation is 1 away, and a mean that is moved by three deviations is 3 away.
    x_btc = tokens()
    mean_c = x_btc.mean((0, 1))
    deviation_c = x_btc.std((0, 1), correction=0)
    assert norm.gap(mean_c + 2 * (x_btc - mean_c)) == pytest.approx(1, abs=1e-4)
    assert norm.gap(x_btc + 3 * deviation_c) == pytest.approx(3, abs=1e-3)


def test_gaps_of_a_model_have_names_and_a_verdict() -> None:
    model = build_model(tiny(norm="batchnorm"), seed=0)
    train_briefly(model, steps=3)
    with measured_gaps(model) as gaps:
        model.head_entropy(batch()[0])
    assert (
        set(gaps)
        == set(running_norms(model))
        == {f"layers.{i}.{name}" for i in (0, 1) for name in ("attention_norm", "feed_forward_norm")}
    )
    sound = norm_health(gaps)
    assert sound is not None
    assert (sound.verdict, sound.largest) == ("sound", max(gaps.values()))
    for norm in running_norms(model).values():
        norm.running_square.mul_(1e-4)
    with measured_gaps(model) as gaps:
        model.head_entropy(batch()[0])
    parted = norm_health(gaps)
    assert parted is not None
    assert parted.verdict == "parted"
    assert "running deviations from its running statistics" in parted.reason
    assert norm_health({}) is None
    assert norm_health({"final_norm": float("nan")}) is None


def test_an_average_of_weights_averages_the_statistics() -> None:
    model = build_model(tiny(n_layer=1, norm="batchnorm"), seed=0)
    average = WeightAverage(model, decay=0.5)
    expected: dict[str, Tensor] = {}
    for seed in range(3):
        model(batch(seed=seed)[0])
        average.update_parameters(model)
        for name, norm in running_norms(model).items():
            square = norm.running_square.clone()
            expected[name] = square if seed == 0 else expected[name].lerp(square, 0.5)
    for name, norm in running_norms(average.module).items():
        torch.testing.assert_close(norm.running_square, expected[name])
        assert int(norm.updates) == 3


def test_it_costs_what_no_norm_does() -> None:
    assert inventory(tiny(norm="batchnorm", final_norm="batchnorm")) == inventory(
        tiny(norm="none", final_norm="none")
    )


def test_values_that_no_linear_reads_exclude_it() -> None:
    architecture = tiny(norm="batchnorm", attention=Attention("identity"))
    (said,) = violations(architecture)
    assert said.startswith("norm.kind=batchnorm and attention.value_projection=identity exclude each other")
    assert not list(
        violations(tiny(layers=(Layer("none"),), final_norm="batchnorm", attention=Attention("identity")))
    )


def test_a_norm_without_statistics_is_none() -> None:
    assert not running_norms(build_model(tiny(norm="layernorm"), seed=0))
    with pytest.raises(NotImplementedError):
        RunningNorm(WIDTH, bias=False).statistics(tokens())
