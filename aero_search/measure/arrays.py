"""What the server brings: a folded model's numbers as plain named arrays, every exact fold made.

Beside what `model.fold` folds: 1/sqrt(d_head) goes into the queries or the gain of their norm, query, key and value
projections are one matrix, and beta of shaped attention goes into the output projection where there is one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aero_search.architecture import Layer
from aero_search.architecture.cards import Card, NormCard
from aero_search.architecture.operations import ACTIVATIONS, NORMS
from aero_search.measure.program import Pass
from aero_search.model.attention import Attention, Shaping
from aero_search.model.decoder import DecoderLayer
from aero_search.model.feed_forward import FeedForward, FusedFeedForward
from aero_search.model.folding import FoldedDecoder
from aero_search.model.low_rank import Linear, LowRank

Array = NDArray[np.float32]

# alpha and gamma are divided by beta when beta is folded; below this share of them the quotients would take
# bits from the fixed-point fraction, so beta stays a factor of its own.
_SMALLEST_BETA = 0.1


def server_pass(folded: FoldedDecoder) -> Pass:
    """The pass that a folded model needs, with the default lowerings and private weights."""
    attentions = [layer.attention for layer in folded.decoder_layers() if layer.attention is not None]
    factors = 2 if all(map(_folds_beta, attentions)) else 3
    return Pass(
        architecture=folded.architecture,
        tempered=any(attention.query_scale_ht is not None for attention in attentions),
        shaped_factors=2 if factors == 2 else 3,
    )


def server_arrays(folded: FoldedDecoder) -> dict[str, Array]:
    """Every value the server brings, by the names `program.stages` reads; matrices are (inputs, outputs)."""
    arrays = {"token_embedding": _array(folded.token_embedding.weight)}
    if folded.position_embedding is not None:
        arrays["position_embedding"] = _array(folded.position_embedding.weight)
    folds_beta = server_pass(folded).shaped_factors == 2
    for index, layer in enumerate(folded.decoder_layers()):
        choice = folded.architecture.layers[index]
        found = _layer(choice, layer, folds_beta, folded.architecture.attention.qk_norm)
        arrays |= {f"layers.{index}.{name}": array for name, array in found}
    arrays |= dict(_values("final_norm.", NORMS[folded.architecture.final_norm], folded.final_norm))
    head = folded.token_embedding if folded.head is None else folded.head
    arrays["lm_head.weight"] = _array(head.weight.T)
    if folded.head is not None and folded.head.bias is not None:
        arrays["lm_head.bias"] = _array(folded.head.bias)
    return arrays


def _layer(choice: Layer, layer: DecoderLayer, folds_beta: bool, qk_norm: str) -> Iterator[tuple[str, Array]]:
    if layer.attention is not None and layer.attention_norm is not None:
        yield from _values("attention_norm.", NORMS[choice.norm], layer.attention_norm)
        yield from _attention(layer.attention, folds_beta, NORMS[qk_norm])
    if layer.feed_forward is not None and layer.feed_forward_norm is not None:
        yield from _values("ffn_norm.", NORMS[choice.norm], layer.feed_forward_norm)
        yield from _feed_forward(choice, layer.feed_forward)


def _attention(attention: Attention, folds_beta: bool, qk_norm: NormCard) -> Iterator[tuple[str, Array]]:
    scale = 1 / math.sqrt(attention.d_head)
    normed = qk_norm.operation is not None
    linears = [(attention.query, 1.0 if normed else scale), (attention.key, 1.0)]
    if attention.value is not None:
        linears.append((attention.value, 1.0))
    yield from ((f"qkv.{name}", array) for name, array in _beside(*((linear, by) for linear, by in linears)))
    if normed:
        queries = dict(_values("qk_norm.", qk_norm, attention.query_norm))
        keys = dict(_values("qk_norm.", qk_norm, attention.key_norm))
        yield from _by_head(queries, keys, attention.n_head, attention.kv_heads, scale)
    if attention.query_scale_ht is not None:
        yield "query_scale", _array(attention.query_scale_ht.unsqueeze(-1))
    if attention.shaping is not None:
        yield "shaping", _shaping(attention.shaping, folds_beta)
    if attention.output is not None:
        weight_cd = attention.output.weight
        if attention.shaping is not None and folds_beta:
            beta_c = attention.shaping.beta_h.repeat_interleave(attention.d_head)
            weight_cd = nn.Parameter(weight_cd * beta_c)
        yield "output.weight", _array(weight_cd.T)
        if attention.output.bias is not None:
            yield "output.bias", _array(attention.output.bias)


def _by_head(
    queries: Mapping[str, Array], keys: Mapping[str, Array], n_head: int, kv_heads: int, scale: float
) -> Iterator[tuple[str, Array]]:
    """What the norms of queries and keys take, one a head (heads, 1, d); the queries' gain and bias scaled.

    A number without an axis is that of the card, and the same for both.
    """
    for name, value in queries.items():
        if value.ndim == 0:
            yield name, value
            continue
        by = scale if name.endswith((".weight", ".bias")) else 1.0
        parts = (np.tile(value * np.float32(by), (n_head, 1, 1)), np.tile(keys[name], (kv_heads, 1, 1)))
        yield name, np.concatenate(parts)


def _shaping(shaping: Shaping, folds_beta: bool) -> Array:
    """alpha, beta and -gamma, (3, H, 1, 1); without beta, and divided by it, where it is folded."""
    gains = [shaping.alpha_h, shaping.beta_h, -shaping.gamma_h]
    if folds_beta:
        gains = [gains[0] / shaping.beta_h, gains[2] / shaping.beta_h]
    return np.stack([_array(gain_h[:, None, None]) for gain_h in gains])


def _folds_beta(attention: Attention) -> bool:
    if attention.shaping is None or attention.output is None:
        return False
    gains = attention.shaping
    others = max(float(gain.detach().abs().max()) for gain in (gains.alpha_h, gains.gamma_h))
    return float(gains.beta_h.detach().abs().min()) > _SMALLEST_BETA * others


def _feed_forward(choice: Layer, feed_forward: FeedForward | FusedFeedForward) -> Iterator[tuple[str, Array]]:
    if isinstance(feed_forward, FusedFeedForward):
        yield from _factors("fused", feed_forward.fused)
        return
    gate = feed_forward.gate
    yield from _factors("up", *((feed_forward.up,) if gate is None else (gate, feed_forward.up)))
    yield from _factors("down", feed_forward.down)
    yield from _values("", ACTIVATIONS[choice.activation], feed_forward.activation)


def _factors(name: str, *linears: Linear) -> Iterator[tuple[str, Array]]:
    """Linears of a feed-forward that read the same input; of two in factors the second ones, (2, rank, outputs)."""
    whole = [linear for linear in linears if isinstance(linear, nn.Linear)]
    if whole:
        yield from ((f"{name}.{part}", array) for part, array in _beside(*((one, 1.0) for one in whole)))
        return
    pairs = [linear for linear in linears if isinstance(linear, LowRank)]
    yield f"{name}_in.weight", np.concatenate([_array(pair.first.weight.T) for pair in pairs], axis=1)
    weights = [_array(pair.second.weight.T) for pair in pairs]
    yield f"{name}.weight", weights[0] if len(weights) == 1 else np.stack(weights)
    biases = [_array(pair.bias) for pair in pairs if pair.bias is not None]
    if biases:
        yield f"{name}.bias", biases[0] if len(biases) == 1 else np.stack(biases)


def _beside(*linears: tuple[nn.Linear, float]) -> Iterator[tuple[str, Array]]:
    """Linears of the same input as one matrix (inputs, all outputs), each times its factor."""
    yield "weight", np.concatenate([_array(linear.weight.T * by) for linear, by in linears], axis=1)
    if linears[0][0].bias is not None:
        yield "bias", np.concatenate([_array(linear.bias * by) for linear, by in linears])


def _values(at: str, card: Card, module: nn.Module | None) -> Iterator[tuple[str, Array]]:
    """What the JAX function takes beside its input, as attributes of the module; None is left out."""
    for name in card.values:
        value = getattr(module, name, None)
        if value is not None:
            number = value if isinstance(value, Tensor) else torch.tensor(float(value))
            yield f"{at}{name}", _array(number)


def _array(tensor: Tensor) -> Array:
    return np.ascontiguousarray(tensor.detach().cpu().float().numpy())
