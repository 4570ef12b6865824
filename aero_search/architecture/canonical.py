"""One form and one key for each network: settings without effect collapse, so nothing is trained twice."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from aero_search.architecture.families import FAMILIES
from aero_search.architecture.operations import IDENTITY, NONE, SOFTMAX
from aero_search.architecture.spec import Architecture, Attention, Layer, Regularizer, Stabilizer
from aero_search.schema import to_mapping

KEY_LENGTH = 12


def canonical(a: Architecture) -> Architecture:
    """Collapse the settings that have no effect on the network or its training.

    The result is equal for two architectures of a family exactly when their networks are the same; `canonical`
    of it is itself. Empty layers change nothing wherever they are: they go behind the others, of public layers
    and of private ones, and stay, because shares of the depth are counted with them (`retarget`).
    """
    collapsed = [_layer(a, layer) for layer in a.layers]
    parts = (collapsed[: a.public_layers], collapsed[a.public_layers :])
    layers = tuple(layer for part in parts for layer in sorted(part, key=lambda layer: layer.is_empty))
    own = FAMILIES[a.family]
    # Where no layer has both, they are not beside each other.
    parallel = a.parallel_residual if any(layer.attends and layer.has_ffn for layer in layers) else None
    has_full = any(layer.is_full for layer in layers)
    attends = any(layer.attends for layer in layers)
    return replace(
        a,
        layers=layers,
        n_kv_head=None if a.n_kv_head == a.n_head or not attends else a.n_kv_head,
        ffn_ratio=float(a.ffn_ratio) if has_full else 4.0,
        gated=a.gated and has_full,
        ffn_rank=a.ffn_rank if any(layer.has_ffn for layer in layers) else 0,
        attention=_attention(a, layers),
        stabilizer=_stabilizer(a.stabilizer, layers, a.attention),
        rotary_share=None if a.rotary_share == own.rotary_share else a.rotary_share,
        parallel_residual=None if parallel == own.parallel_residual else parallel,
        biases=None if a.biases == own.biases else a.biases,
        regularizer=a.regularizer if a.regularizer.weight and attends else Regularizer(),
    )


def key(a: Architecture) -> str:
    """A short hexadecimal name of the canonical form: equal keys, equal networks."""
    said = to_mapping(canonical(a))
    # Keys are older than these fields: at their defaults they are left out, so that keys stay.
    for layer in said["layers"]:
        if layer["attention"] == SOFTMAX:
            del layer["attention"]
    for part, name, default in (
        (said["attention"], "softmax_heads", 0),
        (said["attention"], "qk_norm", NONE),
        (said, "share_layers", 1),
        (said, "ffn_rank", 0),
        (said, "public_layers", 0),
        (said, "rotary_share", None),
        (said, "parallel_residual", None),
        (said, "biases", None),
    ):
        if part[name] == default:
            del part[name]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def _layer(a: Architecture, layer: Layer) -> Layer:
    if layer.is_empty:
        return replace(layer, norm=NONE, activation=IDENTITY)
    if not layer.is_full:
        layer = replace(layer, activation=IDENTITY)
    whole = a.attention.softmax_heads >= a.n_head
    return replace(layer, attention=SOFTMAX) if whole and layer.attends else layer


def _attention(a: Architecture, layers: tuple[Layer, ...]) -> Attention:
    attention = a.attention
    if not any(layer.attends for layer in layers):
        return Attention()
    if not any(a.feels_scale(layer) for layer in layers):
        attention = replace(attention, temperature="none")
    if all(layer.attention == SOFTMAX or not layer.attends for layer in layers):
        attention = replace(attention, softmax_heads=0)
    if attention.temperature == "none":
        return replace(attention, temperature_init=Attention().temperature_init)
    return attention


def _stabilizer(stabilizer: Stabilizer, layers: tuple[Layer, ...], attention: Attention) -> Stabilizer:
    has_ffn = any(layer.has_ffn for layer in layers)
    if stabilizer.kind == "none":
        return Stabilizer()
    if stabilizer.kind == "scaled":
        return Stabilizer("scaled") if has_ffn else Stabilizer()
    targets = stabilizer.targets
    if not any(layer.attends for layer in layers):
        return replace(stabilizer, targets="ffn") if "ffn" in targets else Stabilizer()
    if attention.value_projection == "identity" and targets in ("qkv+ffn", "qkvo+ffn"):
        targets = "qk+ffn"
    if not has_ffn:
        if targets == "ffn":
            return Stabilizer()
        if targets == "qk+ffn":
            targets = "qk"
    return replace(stabilizer, targets=targets)
