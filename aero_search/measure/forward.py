"""The forward pass in JAX, stage by stage: the same functions in plaintext and compiled for two parties.

Shapes: one sequence; T positions, H heads, d channels of a head, V vocabulary entries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from aero_search.architecture import Architecture
from aero_search.measure.lowerings import lowering
from aero_search.measure.program import (
    LOGITS,
    TOKENS,
    Pass,
    Stage,
    carried,
    entry,
    in_the_clear,
    public_stages,
    stages,
)

StageFunction = Callable[..., Array | tuple[Array, ...]]

# Rotary positions, as in model.rotary (Su et al., arXiv 2104.09864).
_BASE = 10_000.0


def client_value(
    forward: Pass, weights: Mapping[str, NDArray[Any]], tokens_t: NDArray[np.integer[Any]]
) -> NDArray[Any]:
    """What the client brings to a pass: its tokens, or what it made of them in public layers.

    Args:
        weights: of the public layers.
        tokens_t: all tokens so far; those that are not cached are brought.
    """
    program = public_stages(forward)
    if not program:
        return _tokens(forward, tokens_t[forward.cached :])
    clear = in_the_clear(forward, len(tokens_t))
    values: dict[str, Any] = {**weights, TOKENS: _tokens(clear, tokens_t)}
    values = _run(clear, program, values)
    return np.asarray(values[entry(forward)])[forward.cached :]


def _tokens(forward: Pass, tokens_t: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """One-hot rows (T, V), or the numbers themselves where they are compared."""
    if forward.compares_tokens:
        return tokens_t.astype(np.int32)
    one_hot_tv = np.zeros((len(tokens_t), forward.architecture.vocab_size), np.float32)
    one_hot_tv[np.arange(len(tokens_t)), tokens_t] = 1.0
    return one_hot_tv


def stage_function(forward: Pass, stage: Stage) -> StageFunction:
    """The function of one stage: takes the values of `stage.reads`, returns those of `stage.writes`.

    One value is returned bare, several as a tuple.
    """
    a = forward.architecture
    if stage.kind is not None:
        run = lowering(stage.kind, forward.lowering(stage.kind))
        if stage.op == "qk_norm":
            return partial(_qk_normed, run)
        return partial(_weigh, run) if stage.op == "weigh" else run
    if stage.op == "linear_residual":
        return _linear_residual
    if stage.op.startswith(("output", "merge")):
        return partial(_after_attention, stage.op.startswith("output"), stage.op.endswith("residual"))
    sized: dict[str, Callable[..., Any]] = {"one_hot": _one_hot, "qkv": _qkv}
    placed: dict[str, Callable[..., Any]] = {
        "lookup": _lookup,
        "rotary": partial(_rotary, a),
        "scale": _scale,
    }
    if stage.op == "scores":
        return partial(_scores, a, tuple(count for _, count in stage.heads))
    if stage.op in sized:
        return partial(sized[stage.op], a)
    if stage.op in placed:
        return partial(placed[stage.op], forward.cached)
    plain: dict[str, StageFunction] = {
        "values": _values,
        "linear": _linear,
        "split": _split,
        "split_factors": _split_factors,
        "multiply": jnp.multiply,
        "running_mean": _running_mean,
        "cache": _append,
        "last_token": _last_token,
        "shaped": _shaped,
    }
    return plain[stage.op]


def run_plaintext(
    forward: Pass, weights: Mapping[str, NDArray[Any]], tokens_t: NDArray[np.integer[Any]]
) -> NDArray[np.float32]:
    """Logits (T, V) of the stages in float32, without any second party."""
    logits_tv, _ = run_pass(forward, weights, tokens_t, {})
    return logits_tv


def run_pass(
    forward: Pass,
    weights: Mapping[str, NDArray[Any]],
    tokens_t: NDArray[np.integer[Any]],
    cache: Mapping[str, Any],
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """The same of one pass of a query: its logits, and what it leaves to the next one.

    Args:
        tokens_t: all tokens so far.
        cache: what the pass before has left.
    """
    values: dict[str, Any] = {**weights, **cache, entry(forward): client_value(forward, weights, tokens_t)}
    values = _run(forward, stages(forward), values)
    left = {there: values[here] for here, there in carried(forward).items()}
    return np.asarray(values[LOGITS]), left


def _run(forward: Pass, program: tuple[Stage, ...], values: dict[str, Any]) -> dict[str, Any]:
    """The values with those that stages make of them in plaintext."""
    for stage in program:
        made = stage_function(forward, stage)(*(jnp.asarray(values[name]) for name in stage.reads))
        values |= zip(stage.writes, made if isinstance(made, tuple) else (made,), strict=True)
    return values


def _one_hot(a: Architecture, tokens_t: Array) -> Array:
    return (tokens_t[:, None] == jnp.arange(a.vocab_size, dtype=jnp.int32)[None, :]).astype(jnp.float32)


def _lookup(cached: int, one_hot_tv: Array, embedding_vc: Array, position_tc: Array | None = None) -> Array:
    x_tc = one_hot_tv @ embedding_vc
    return x_tc if position_tc is None else x_tc + position_tc[cached : cached + x_tc.shape[0]]


def _scale(cached: int, q_htd: Array, scale_ht1: Array) -> Array:
    return q_htd * scale_ht1[:, cached : cached + q_htd.shape[1]]


def _append(cached_k: Array, cached_v: Array, k_htd: Array, v_htd: Array) -> tuple[Array, Array]:
    """Keys and values of all tokens so far."""
    return jnp.concatenate([cached_k, k_htd], axis=1), jnp.concatenate([cached_v, v_htd], axis=1)


def _last_token(x_tc: Array) -> Array:
    return x_tc[-1:]


def _linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    return x @ weight if bias is None else x @ weight + bias


def _linear_residual(x: Array, weight: Array, *rest: Array) -> Array:
    *bias, stream = rest
    return stream + _linear(x, weight, *bias)


def _split(x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, ...]:
    return tuple(jnp.split(_linear(x, weight, bias), 2, axis=-1))


def _split_factors(x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, ...]:
    """The second factors (2, r, outputs) of two linears, whose first ones lie beside each other in x, (T, 2 r)."""
    halves = jnp.split(x, 2, axis=-1)
    return tuple(
        half @ weight[i] if bias is None else half @ weight[i] + bias[i] for i, half in enumerate(halves)
    )


def _heads(x_tc: Array, heads: int) -> Array:
    return x_tc.reshape(x_tc.shape[0], heads, -1).transpose(1, 0, 2)


def _qkv(a: Architecture, x_tc: Array, weight: Array, bias: Array | None = None) -> tuple[Array, ...]:
    """Queries (H, T, d), keys and values (kv heads, T, d); identity values are slices of the input."""
    out = _linear(x_tc, weight, bias)
    ends = [a.d_model, a.d_model + a.kv_heads * a.d_head]
    if a.attention.value_projection == "full":
        q, k, v = jnp.split(out, ends, axis=-1)
    else:
        (q, k), v = jnp.split(out, ends[:1], axis=-1), x_tc
    return _heads(q, a.n_head), _heads(k, a.kv_heads), _repeated(a, _heads(v, a.kv_heads))


def _repeated(a: Architecture, x_htd: Array) -> Array:
    """Key or value heads as many as query heads (grouped-query attention)."""
    return x_htd if a.kv_heads == a.n_head else jnp.repeat(x_htd, a.n_head // a.kv_heads, axis=0)


def _qk_normed(run: Callable[..., Array], q_htd: Array, k_htd: Array, *values: Array) -> tuple[Array, Array]:
    """Queries and keys normalized at once, as the heads of one vector."""
    heads = q_htd.shape[0]
    both = run(jnp.concatenate([q_htd, k_htd]), *values)
    return both[:heads], both[heads:]


def _rotary(a: Architecture, cached: int, q_htd: Array, k_htd: Array) -> tuple[Array, Array]:
    rotated = a.rotary_channels
    frequency_r = _BASE ** (-np.arange(0, rotated, 2) / rotated)
    angle_tr = np.outer(np.arange(cached, cached + q_htd.shape[1]), frequency_r)
    cos_tr, sin_tr = np.cos(angle_tr).astype(np.float32), np.sin(angle_tr).astype(np.float32)
    cos, sin = np.concatenate([cos_tr, cos_tr], -1), np.concatenate([-sin_tr, sin_tr], -1)

    def turn(x: Array) -> Array:
        front, rest = x[..., :rotated], x[..., rotated:]
        swapped = jnp.concatenate([front[..., rotated // 2 :], front[..., : rotated // 2]], axis=-1)
        return jnp.concatenate([front * cos + swapped * sin, rest], axis=-1)

    return turn(q_htd), turn(k_htd)


def _scores(
    a: Architecture, counts: tuple[int, ...], q_htd: Array, k_htd: Array
) -> Array | tuple[Array, ...]:
    """Scores (H, T, T), in pieces of so many heads where their kinds differ."""
    scores_htt = q_htd @ _repeated(a, k_htd).transpose(0, 2, 1)
    if len(counts) == 1:
        return scores_htt
    return tuple(jnp.split(scores_htt, np.cumsum(counts)[:-1].tolist(), axis=0))


def _weigh(run: Callable[..., Array], scores_htt: Array) -> Array:
    rows, length = scores_htt.shape[-2:]
    mask = np.broadcast_to(np.tril(np.ones((rows, length), bool), length - rows), scores_htt.shape)
    return run(scores_htt, mask)


def _values(v_htd: Array, *weights_htt: Array) -> Array:
    whole_htt = weights_htt[0] if len(weights_htt) == 1 else jnp.concatenate(weights_htt, axis=0)
    return whole_htt @ v_htd


def _running_mean(v_htd: Array, seen_htd: Array) -> Array:
    """Mean of the values so far: a product with the public uniform causal matrix."""
    heads, length, width = seen_htd.shape
    causal = (np.tril(np.ones((length, length))) / np.arange(1, length + 1)[:, None])[-v_htd.shape[1] :]
    flat = seen_htd.transpose(1, 0, 2).reshape(length, heads * width)
    return _heads(jnp.asarray(causal, jnp.float32) @ flat, heads)


def _shaped(v_htd: Array, mixed_htd: Array, mean_htd: Array, gains_gh11: Array) -> Array:
    """alpha V + beta A V - gamma C V in one product; beta is 1 where the output projection holds it."""
    if gains_gh11.shape[0] == 3:
        return jnp.sum(jnp.stack([v_htd, mixed_htd, mean_htd]) * gains_gh11, axis=0)
    return mixed_htd + jnp.sum(jnp.stack([v_htd, mean_htd]) * gains_gh11, axis=0)


def _after_attention(projected: bool, skip: bool, mixed_htd: Array, *rest: Array) -> Array:
    x_tc = mixed_htd.transpose(1, 0, 2).reshape(mixed_htd.shape[1], -1)
    linear, stream = (rest[:-1], rest[-1]) if skip else (rest, None)
    if projected:
        x_tc = _linear(x_tc, *linear)
    return x_tc if stream is None else stream + x_tc
