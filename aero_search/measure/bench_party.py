"""What the two parties of a calibration run: the micro-benchmarks' functions in JAX, and their inputs.

Inputs are random and each party makes its own: the client the activations, the server its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from aero_search.measure.benchmarks import ATTENTION_LOWERINGS
from aero_search.measure.lowerings import lowering
from aero_search.measure.mailbox import Array, Role
from aero_search.measure.party import Party, Secret
from aero_search.measure.setup import set_up


def _attention(kind: str, name: str) -> Callable[..., Any]:
    run = lowering(kind, name)

    def weigh(scores: Any) -> Any:
        causal = np.tril(np.ones(scores.shape[-2:], bool))
        return run(scores, np.broadcast_to(causal, scores.shape))

    return weigh


def _norm(name: str) -> Callable[..., Any]:
    run = lowering(name, name)
    return lambda x, weight, eps: run(x, weight, eps, None)


def _one_hot(tokens: Any) -> Any:
    """Secret tokens compared with public numbers, as numbers: what a lookup multiplies by the embedding."""
    return (tokens == jnp.arange(tokens.shape[-1], dtype=jnp.int32)).astype(jnp.float32)


def _product(x: Any, y: Any) -> Any:
    return x @ y


def _functions() -> dict[str, Callable[..., Any]]:
    functions: dict[str, Callable[..., Any]] = {
        "public_factor": lambda x: 0.3 * x,
        "compare": lambda x: x < 0.0,
        "equality": _one_hot,
        "product": jnp.multiply,
        "private_factor": lambda x, factor: x * factor,
        "exponential": jnp.exp,
        "reciprocal": lambda x: 1.0 / x,
        "rsqrt": jax.lax.rsqrt,
        "tanh": jnp.tanh,
        "private_matmul": _product,
        "secret_weights": _product,
        "secret_matmul": _product,
    }
    for name in ("softmax_broadcast", "softmax_bumblebee", "softmax_divide"):
        functions[name] = _attention("softmax", name)
    for name in ATTENTION_LOWERINGS:
        functions[name] = _attention(name, name)
    for name in ("layernorm", "rmsnorm"):
        functions[name] = functions[f"{name}_secret"] = _norm(name)
    for name in ("gelu_tanh", "gelu_segments", "gelu_puma"):
        functions[name] = lowering("gelu", name)
    for name in ("relu", "silu", "quadratic", "squared_relu", "leaky_relu", "leaky_relu_learned"):
        functions[name] = lowering(name, name)
    functions["leaky_relu_learned_secret"] = functions["leaky_relu_learned"]
    return functions


FUNCTIONS = _functions()


def run_benchmarks(party: Party) -> None:
    """Pay for the set-up, then read every benchmark of `party.settings["items"]`, once each time it is listed.

    Each item has `key`, `name`, `inputs`, `shape`, `count` and `secret_weights`, as in `measure.benchmarks`; each
    reading is reported as a run named by the key.
    """
    set_up(party)
    for item in party.settings["items"]:
        values = _enter(party, item)
        outputs, _ = party.run(item["key"], FUNCTIONS[item["name"]], *values)
        party.forget(*outputs, *values)


def _enter(party: Party, item: Mapping[str, Any]) -> list[Secret]:
    rng = np.random.default_rng(party.rank)
    shape, count = tuple(item["shape"]), item["count"]
    whole = (count, *shape) if count > 1 else shape

    def enter(owner: Role, shape: tuple[int, ...], private: bool) -> Secret:
        mine = owner == party.role
        return party.enter(owner, _values(rng, item["name"], shape) if mine else None, private)

    keeps = not item["secret_weights"]
    match item["inputs"]:
        case "one":
            return [enter("client", whole, False)]
        case "two":
            return [enter("client", whole, False), enter("server", whole, False)]
        case "factor":
            return [enter("client", whole, False), enter("server", whole, keeps)]
        case "norm":
            gain, epsilon = (shape[-1],), ()
            return [
                enter("client", whole, False),
                enter("server", gain, keeps),
                enter("server", epsilon, keeps),
            ]
        case "slope":
            return [enter("client", whole, False), enter("server", (), keeps)]
        case "product":
            m, k, n = shape
            heads = (count,) if count > 1 else ()
            return [enter("client", (*heads, m, k), False), enter("server", (*heads, k, n), keeps)]
    raise ValueError(f"benchmark {item['key']} takes {item['inputs']}, which is no kind of inputs")


def _values(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    """Random numbers in the range the function is made for."""
    if name == "equality":
        return rng.integers(0, 1000, shape, dtype=np.int32)
    normal = np.asarray(rng.normal(size=shape), np.float32)
    if name == "exponential":
        return -np.abs(normal)
    if name in ("reciprocal", "rsqrt") or not shape:
        return np.abs(normal) + np.float32(0.5)
    return normal
