"""Norms and activations beyond the paper's: closed forms, gradients, starting points."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from aero_search.architecture import Layer
from aero_search.model import build_model
from aero_search.model.elementwise import MODULES, TURNS
from aero_search.model.folding_norms import DynamicTanh, HardDynamicTanh, SimpleRMSNorm
from aero_search.model.running_norms import EPS, StaticNorm
from tests.model.helpers import batch, tiny, train

WIDTH = 16
REFERENCES = {
    "dyt": lambda norm, x: torch.tanh(norm.alpha * x) * norm.weight + norm.bias,
    "hard_dyt": lambda norm, x: (norm.alpha * x).clamp(-1, 1) * norm.weight + norm.bias,
    "simple_rms": lambda norm, x: F.rms_norm(x, (WIDTH,), eps=1e-6),
    "static": lambda norm, x: x / (x.square().mean() + EPS).sqrt() * norm.weight + norm.bias,
}


def made(name: str) -> torch.nn.Module:
    norm = {
        "dyt": lambda: DynamicTanh(tiny()),
        "hard_dyt": lambda: HardDynamicTanh(tiny()),
        "simple_rms": lambda: SimpleRMSNorm(1e-6),
        "static": lambda: StaticNorm(WIDTH, bias=True),
    }[name]()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in norm.double().parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.3)
    return norm


def stream(seed: int = 0) -> Tensor:
    """As wide as the embedding's deviation makes it, so that some of it is clipped and some is not."""
    generator = torch.Generator().manual_seed(seed)
    return 0.3 * torch.randn(2, 5, WIDTH, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_norm_and_its_gradients_equal_the_reference(name: str) -> None:
    norm, x = made(name), stream().requires_grad_()
    weights = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(norm(x), REFERENCES[name](norm, x), atol=1e-9, rtol=0)
    inputs = (x, *norm.parameters())
    mine = torch.autograd.grad((norm(x) * weights).sum(), inputs)
    theirs = torch.autograd.grad((REFERENCES[name](norm, x) * weights).sum(), inputs)
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


def test_a_static_norm_divides_by_a_running_scale_at_inference() -> None:
    norm = made("static")
    assert isinstance(norm, StaticNorm)
    for seed in range(3):
        norm(stream(seed))
    scale = torch.stack([stream(seed).square().mean() for seed in range(3)]).mean()
    x = 5 * stream(7)
    expected = x / (scale + EPS).sqrt() * norm.weight + norm.bias
    torch.testing.assert_close(norm.eval()(x), expected)


def test_alpha_starts_where_the_stream_does() -> None:
    model = build_model(tiny(norm="hard_dyt"), seed=0)
    norm = model.decoder_layers()[0].attention_norm
    assert isinstance(norm, HardDynamicTanh)
    deviation = float(model.token_embedding.weight.detach().std())
    assert float(norm.alpha.detach()) * deviation == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("norm", [*REFERENCES, "batchnorm"])
def test_it_learns(norm: str) -> None:
    model = build_model(tiny(norm=norm, final_norm=norm), seed=0)
    losses = train(model, steps=25, lr=1e-2)
    assert losses[-1] < 0.7 * losses[0]
    with torch.no_grad():
        assert model.eval()(batch()[0]).isfinite().all()


def test_a_learned_quadratic_starts_as_gelu_does_around_0() -> None:
    quadratic = MODULES["quadratic_learned"]()
    x = torch.linspace(-0.1, 0.1, 21)
    torch.testing.assert_close(quadratic(x), F.gelu(x), atol=1e-4, rtol=0)
    with torch.no_grad():
        quadratic.curvature.fill_(0.3)
        quadratic.slope.fill_(-2.0)
    x = stream().requires_grad_()
    assert torch.autograd.gradcheck(quadratic.double(), x)
    torch.testing.assert_close(quadratic(x), 0.3 * x**2 - 2 * x)


def test_each_layer_learns_its_own_coefficients() -> None:
    model = build_model(tiny(layers=(Layer("none", "quadratic_learned"),) * 2), seed=0)
    train(model, steps=2)
    first, second = (layer.feed_forward.activation.curvature for layer in model.decoder_layers())  # type: ignore[union-attr]
    assert first is not second
    assert not torch.equal(first, second)


def test_relu6_is_clipped_on_both_sides() -> None:
    x = torch.linspace(-3, 9, 25)
    assert torch.equal(MODULES["relu6"]()(x), x.clamp(0, 6))


@pytest.mark.parametrize(("pieces", "within"), [(4, 0.16), (5, 0.05), (6, 0.03)])
def test_straight_pieces_stay_near_gelu(pieces: int, within: float) -> None:
    module = MODULES[f"piecewise_{pieces}"]()
    x = torch.linspace(-8, 8, 3201, dtype=torch.float64)
    y = module(x)
    assert float((y - F.gelu(x)).abs().max()) < within
    # 0 on one side, x on the other, and as many pieces as its name says.
    torch.testing.assert_close(y[x < -4], torch.zeros_like(y[x < -4]), atol=1e-9, rtol=0)
    torch.testing.assert_close(y[x > 4], x[x > 4], atol=1e-9, rtol=0)
    assert len(TURNS[pieces]) == pieces - 1
    slopes = torch.diff(y) / torch.diff(x)
    assert len(torch.unique(slopes.round(decimals=3))) >= pieces - 2
