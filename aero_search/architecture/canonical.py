"""One form and one key for each network: settings without effect collapse, so nothing is trained twice."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from aero_search.architecture.operations import ATTENTIONS, IDENTITY, SOFTMAX
from aero_search.architecture.spec import Architecture, Attention, Layer, Regularizer, Stabilizer
from aero_search.schema import to_mapping

KEY_LENGTH = 12


def canonical(a: Architecture) -> Architecture:
    """Collapse the settings that have no effect on the network or its training.

    The result is equal for two architectures exactly when their networks are the same; `canonical` of it
    is itself.
    """
    layers = tuple(layer if layer.is_full else replace(layer, activation=IDENTITY) for layer in a.layers)
    has_full = any(layer.is_full for layer in layers)
    return replace(
        a,
        layers=layers,
        n_kv_head=None if a.n_kv_head == a.n_head else a.n_kv_head,
        ffn_ratio=float(a.ffn_ratio) if has_full else 4.0,
        gated=a.gated and has_full,
        attention=_attention(a.attention, layers),
        stabilizer=_stabilizer(a.stabilizer, layers, a.attention),
        regularizer=a.regularizer if a.regularizer.weight else Regularizer(),
    )


def key(a: Architecture) -> str:
    """A short hexadecimal name of the canonical form: equal keys, equal networks."""
    said = to_mapping(canonical(a))
    for layer in said["layers"]:
        # Keys are older than this field: at its default it is left out, so that they stay what they were.
        if layer["attention"] == SOFTMAX:
            del layer["attention"]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def _attention(attention: Attention, layers: tuple[Layer, ...]) -> Attention:
    if all(ATTENTIONS[layer.attention].scale_free for layer in layers):
        attention = replace(attention, temperature="none")
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
    if attention.value_projection == "identity" and targets in ("qkv+ffn", "qkvo+ffn"):
        targets = "qk+ffn"
    if not has_ffn:
        if targets == "ffn":
            return Stabilizer()
        if targets == "qk+ffn":
            targets = "qk"
    return replace(stabilizer, targets=targets)
