"""Nonlinearities as two-party computation runs them, by the names that protocol files give their lowerings.

Each maps jax arrays to jax arrays, works in plaintext as under SPU, and states how far it is from the function
it stands for. The first lowering of a kind is the default. Public masks cost nothing; comparisons, products of
secrets and reciprocals do, so their number is what distinguishes lowerings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import erf, pi, sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from aero_search.architecture.operations import operation_card
from aero_search.architecture.registry import import_module_of
from aero_search.errors import AeroSearchError

# Below e^-14 an exponential is 0 in 18 fraction bits (BumbleBee, NDSS 2025, section V).
_SMALLEST_EXPONENT = -14.0


def _stable(scores: Array, mask: Any) -> Array:
    """Scores less their row's largest visible one; hidden ones equal the row's first, which is always seen.

    A large negative constant in their place would leave the range of a fixed-point exponential.
    """
    seen = jnp.where(mask, scores, scores[..., :1])
    return seen - jnp.max(seen, axis=-1, keepdims=True)


def softmax_broadcast(scores: Array, mask: Any) -> Array:
    """The exact softmax, one reciprocal a row."""
    weights = jnp.where(mask, jnp.exp(_stable(scores, mask)), 0.0)
    return weights * (1.0 / jnp.sum(weights, axis=-1, keepdims=True))


def softmax_divide(scores: Array, mask: Any) -> Array:
    """The exact softmax, a division for every element."""
    weights = jnp.where(mask, jnp.exp(_stable(scores, mask)), 0.0)
    sums = jnp.sum(weights, axis=-1, keepdims=True)
    return weights / jnp.broadcast_to(sums, weights.shape)


def softmax_bumblebee(scores: Array, mask: Any) -> Array:
    """(1 + x/64)^64 for the exponential, 0 below -14 (BumbleBee): within 0.02 of the exact softmax."""
    shifted = _stable(scores, mask)
    power = 1.0 + shifted * (1.0 / 64)
    for _ in range(6):
        power = power * power
    weights = jnp.where(mask, jnp.where(shifted > _SMALLEST_EXPONENT, power, 0.0), 0.0)
    return weights * (1.0 / jnp.sum(weights, axis=-1, keepdims=True))


# As in model.attention_weights.
_EPSILON, _SQUARE_SHIFT = 1e-3, 5.0


def _over_sum(weights: Array) -> Array:
    return weights * (1.0 / (jnp.sum(weights, axis=-1, keepdims=True) + _EPSILON))


def _over_count(mask: Any) -> Any:
    """1 over how many keys a query sees at those keys, 0 elsewhere: a public factor that masks and divides."""
    shown = np.asarray(mask, np.float32)
    return shown / np.maximum(shown.sum(axis=-1, keepdims=True), 1.0)


def relu_sum(scores: Array, mask: Any) -> Array:
    """max(z, 0) over its sum, one reciprocal a row."""
    return _over_sum(jnp.where(mask, relu(scores), 0.0))


def relu_count(scores: Array, mask: Any) -> Array:
    """max(z, 0) over the public number of keys."""
    return relu(scores) * _over_count(mask)


def square_sum(scores: Array, mask: Any) -> Array:
    """(z + 5)^2 over its sum."""
    return power(scores + _SQUARE_SHIFT, mask)


def power(scores: Array, mask: Any) -> Array:
    """z^2 over its sum."""
    return _over_sum(jnp.where(mask, scores * scores, 0.0))


def power4(scores: Array, mask: Any) -> Array:
    """z^4 over its sum."""
    square = scores * scores
    return _over_sum(jnp.where(mask, square * square, 0.0))


def sigmoid(scores: Array, mask: Any) -> Array:
    """(1 + tanh((z - log n) / 2)) / 2 with the public number n of keys."""
    shown = np.asarray(mask, np.float32)
    shift = np.log(np.maximum(shown.sum(axis=-1, keepdims=True), 1.0))
    return (1.0 + jnp.tanh(0.5 * (scores - shift))) * (0.5 * shown)


def linear_scores(scores: Array, mask: Any) -> Array:
    """z over the public number of keys."""
    return scores * _over_count(mask)


def gelu_tanh(x: Array) -> Array:
    """x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2 (Hendrycks & Gimpel): within 0.001 of the exact one."""
    inner = sqrt(2 / pi) * (x + 0.044715 * (x * x * x))
    return x * (0.5 * (1.0 + jnp.tanh(inner)))


def gelu_erf(x: Array) -> Array:
    """The exact GELU; six times the bytes of `gelu_tanh` under SPU."""
    return jax.nn.gelu(x, approximate=False)


def _even_part_of_gelu(degree: int, end: float) -> list[float]:
    """c_0 .. c_degree of the least-squares polynomial in |x| to gelu(x) - x/2, an even function, on [0, end]."""
    points = np.linspace(0.0, end, 4001)
    even = np.array([0.5 * x * erf(x / sqrt(2)) for x in points])
    return [float(c) for c in np.polynomial.polynomial.polyfit(points, even, degree)]


_SEGMENT_END = 3.0
_SEGMENT = _even_part_of_gelu(4, _SEGMENT_END)


def gelu_segments(x: Array) -> Array:
    """0 below -3, x above 3, x/2 + a degree-4 polynomial in |x| between: within 0.01 of the exact GELU."""
    below, negative, inside = x < -_SEGMENT_END, x < 0.0, x < _SEGMENT_END
    magnitude = jnp.where(negative, -x, x)
    square = magnitude * magnitude
    powers = jnp.stack([x, magnitude, square, magnitude * square, square * square], axis=-1)
    # One public product, so one truncation.
    middle = powers @ jnp.array([0.5, *_SEGMENT[1:]], jnp.float32) + _SEGMENT[0]
    return jnp.where(inside, jnp.where(below, 0.0, middle), x)


# Dong et al., PUMA (arXiv 2307.12533), section 4.1: ascending coefficients on [-4, -1.95) and [-1.95, 3].
_PUMA_LEFT = (-0.5054031199708174, -0.42226581151983866, -0.11807612951181953, -0.011034134030615728)
_PUMA_RIGHT = (
    0.008526321541038084,
    0.5,
    0.3603292692789629,
    0.0,
    -0.037688200365904236,
    0.0,
    0.0018067462606141187,
)


def gelu_puma(x: Array) -> Array:
    """Polynomials of degree 3 and 6 on four segments (PUMA): within 0.02 of the exact GELU."""
    far, left, right = x < -4.0, x < -1.95, x > 3.0
    square = x * x
    cube = x * square
    sixth = cube * cube
    fourth = square * square
    c, d = _PUMA_LEFT, _PUMA_RIGHT
    cubic = c[3] * cube + c[2] * square + c[1] * x + c[0]
    sextic = d[6] * sixth + d[4] * fourth + d[2] * square + d[1] * x + d[0]
    in_left = jnp.logical_xor(far, left)
    in_right = jnp.logical_not(jnp.logical_or(left, right))
    return right * x + in_left * cubic + in_right * sextic


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return jnp.maximum(x, 0.0)


def silu(x: Array) -> Array:
    """x (1 + tanh(x/2)) / 2, which is x sigmoid(x)."""
    return x * (0.5 * (1.0 + jnp.tanh(0.5 * x)))


def leaky_relu(x: Array) -> Array:
    """Slope 0.01, public."""
    positive = relu(x)
    return positive + 0.01 * (x - positive)


def leaky_relu_learned(x: Array, slope: Array) -> Array:
    """A slope that is the server's own."""
    positive = relu(x)
    return positive + slope * (x - positive)


def squared_relu(x: Array) -> Array:
    """max(x, 0)^2."""
    positive = relu(x)
    return positive * positive


def quadratic(x: Array) -> Array:
    """x^2 + x."""
    return x * x + x


def quadratic_learned(x: Array, curvature: Array, slope: Array) -> Array:
    """curvature x^2 + slope x, with coefficients that are the server's own."""
    return x * (curvature * x + slope)


def _turning(x: Array, turns: Sequence[tuple[float, float]]) -> Array:
    """The sum of turn * max(x - knot, 0): all comparisons at once, and one truncation of the sum."""
    knots, slopes = (jnp.array(numbers, jnp.float32) for numbers in zip(*turns, strict=True))
    return jnp.maximum(x[..., None] - knots, 0.0) @ slopes


def relu6(x: Array) -> Array:
    """max(x, 0) less max(x - 6, 0)."""
    positive = jnp.maximum(jnp.stack([x, x - 6.0]), 0.0)
    return positive[0] - positive[1]


def piecewise_4(x: Array) -> Array:
    """GELU in four straight pieces."""
    return _turning(x, _turns(4))


def piecewise_5(x: Array) -> Array:
    """GELU in five straight pieces."""
    return _turning(x, _turns(5))


def piecewise_6(x: Array) -> Array:
    """GELU in six straight pieces."""
    return _turning(x, _turns(6))


def _turns(pieces: int) -> Sequence[tuple[float, float]]:
    # Here, because it imports torch.
    from aero_search.model.elementwise import TURNS

    return TURNS[pieces]


def dyt(x: Array, alpha: Array) -> Array:
    """tanh(alpha x)."""
    return jnp.tanh(x * alpha)


def hard_dyt(x: Array, bound: Array) -> Array:
    """x within -bound and bound, which is the server's own: max(x + bound, 0) - max(x - bound, 0) - bound."""
    above = jnp.maximum(jnp.stack([x + bound, x - bound]), 0.0)
    return above[0] - above[1] - bound


def simple_rms(x: Array, eps: Array) -> Array:
    """x times the reciprocal root of its mean square + eps."""
    return x * jax.lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True) * (1 / x.shape[-1]) + eps)


def layernorm(x: Array, weight: Array, eps: Array, bias: Array | None = None) -> Array:
    """Centre, scale by the reciprocal root of variance + eps, then the learned gain and bias."""
    centred = x - jnp.sum(x, axis=-1, keepdims=True) * (1 / x.shape[-1])
    return rmsnorm(centred, weight, eps, bias)


def rmsnorm(x: Array, weight: Array, eps: Array, bias: Array | None = None) -> Array:
    """The same without centring; rmsnorm itself has no bias."""
    square = jnp.sum(x * x, axis=-1, keepdims=True) * (1 / x.shape[-1])
    scaled = x * jax.lax.rsqrt(square + eps) * weight
    return scaled if bias is None else scaled + bias


# By name; plug-ins add theirs with `register`.
_FUNCTIONS: dict[str, Callable[..., Array]] = {
    function.__name__: function
    for function in (
        softmax_broadcast,
        softmax_divide,
        softmax_bumblebee,
        relu_sum,
        relu_count,
        square_sum,
        power,
        power4,
        sigmoid,
        linear_scores,
        gelu_tanh,
        gelu_segments,
        gelu_puma,
        gelu_erf,
        relu,
        leaky_relu,
        leaky_relu_learned,
        squared_relu,
        quadratic,
        quadratic_learned,
        relu6,
        piecewise_4,
        piecewise_5,
        piecewise_6,
        silu,
        layernorm,
        rmsnorm,
        simple_rms,
        dyt,
        hard_dyt,
    )
}


def register(function: Callable[..., Array]) -> Callable[..., Array]:
    """Let cards name this function among their `lowerings`, by its own name."""
    _FUNCTIONS[function.__name__] = function
    return function


def lowering(kind: str, name: str | None) -> Callable[..., Array]:
    """The function that runs an operation kind; the default where the name is not one of its lowerings.

    Raises:
        AeroSearchError: the card names a function that nobody registers.
    """
    card = operation_card(kind)
    assert card is not None
    chosen = name if name in card.lowerings else card.lowerings[0]
    if chosen not in _FUNCTIONS and "jax" in card.modules:
        import_module_of(card, "jax")
    if chosen not in _FUNCTIONS:
        raise AeroSearchError(f"{card.name} names the lowering {chosen}, which nothing registers")
    return _FUNCTIONS[chosen]
