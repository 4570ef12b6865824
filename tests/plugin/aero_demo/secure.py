"""The same in JAX, as two parties run them; their names are those that the cards give as `lowerings`."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from aero_search.measure.lowerings import register


@register
def clipped_relu(x: Array) -> Array:
    return jnp.minimum(jnp.maximum(x, 0.0), 1.0)


@register
def centre(x: Array, weight: Array) -> Array:
    return (x - jnp.sum(x, axis=-1, keepdims=True) * (1 / x.shape[-1])) * weight
