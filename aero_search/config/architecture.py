"""From the groups model, norm, activation, ffn, stabilizer, attention, regularizer to an Architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aero_search.architecture import Architecture, Attention, Layer, Regularizer, Stabilizer, validate
from aero_search.architecture.spec import Activation, Family, FeedForward, Norm
from aero_search.errors import RequestError
from aero_search.schema import from_mapping

LayerSet = str | int | float | tuple[int, ...]
GROUPS = ("model", "norm", "activation", "ffn", "stabilizer", "attention", "regularizer")


@dataclass(frozen=True)
class ModelGroup:
    """conf/model/*.yaml"""

    family: Family
    n_layer: int
    n_head: int
    n_kv_head: int | None
    d_model: int
    seq_len: int
    vocab_size: int
    ffn_ratio: float
    gated: bool
    tied_embeddings: bool


@dataclass(frozen=True)
class NormGroup:
    """conf/norm/*.yaml"""

    kind: Norm
    layers: LayerSet
    final: Norm


@dataclass(frozen=True)
class ActivationGroup:
    """conf/activation/*.yaml"""

    kind: Activation


@dataclass(frozen=True)
class FeedForwardGroup:
    """conf/ffn/*.yaml"""

    kind: FeedForward
    layers: LayerSet


def read_architecture(groups: Mapping[str, Any]) -> Architecture:
    """Build the Architecture that the composed groups describe.

    Raises:
        SchemaError: a field is unknown or of the wrong type.
        InvalidArchitectureError: no network can be built so; says which fields and how to mend.
    """
    model = from_mapping(ModelGroup, groups.get("model"), "model")
    norm = from_mapping(NormGroup, groups.get("norm"), "norm")
    activation = from_mapping(ActivationGroup, groups.get("activation"), "activation")
    ffn = from_mapping(FeedForwardGroup, groups.get("ffn"), "ffn")
    if model.n_layer < 1:
        raise RequestError(f"model.n_layer={model.n_layer} must be at least 1")
    normed = layer_set("norm.layers", norm.layers, model.n_layer)
    kept = layer_set("ffn.layers", ffn.layers, model.n_layer)
    layers = tuple(
        Layer(
            norm=norm.kind if i in normed else "none",
            activation=activation.kind,
            ffn=ffn.kind if i in kept else "none",
        )
        for i in range(model.n_layer)
    )
    return validate(
        Architecture(
            family=model.family,
            n_head=model.n_head,
            n_kv_head=model.n_kv_head,
            d_model=model.d_model,
            seq_len=model.seq_len,
            vocab_size=model.vocab_size,
            layers=layers,
            ffn_ratio=model.ffn_ratio,
            gated=model.gated,
            final_norm=norm.final,
            tied_embeddings=model.tied_embeddings,
            attention=from_mapping(Attention, groups.get("attention"), "attention"),
            stabilizer=from_mapping(Stabilizer, groups.get("stabilizer"), "stabilizer"),
            regularizer=from_mapping(Regularizer, groups.get("regularizer"), "regularizer"),
        )
    )


def layer_set(field: str, value: LayerSet, n_layer: int) -> frozenset[int]:
    """Which layers a setting applies to: `all`, a number k (the first k), a list counted from 0, or a share.

    A share such as 0.5 is that part of the layers, rounded, the first ones: it means the same at every depth.

    Raises:
        RequestError: a layer does not exist, with the range that does.
    """
    if value == "all":
        return frozenset(range(n_layer))
    if isinstance(value, str):
        raise RequestError(
            f"{field}={value} must be all, a number of layers, a share or a list such as [0,2]"
        )
    if isinstance(value, float):
        if not 0 < value <= 1:
            raise RequestError(f"{field}={value:g} is a share of the layers and must lie between 0 and 1")
        return frozenset(range(round(value * n_layer)))
    if isinstance(value, int):
        if not 0 <= value <= n_layer:
            raise RequestError(
                f"{field}={value} must lie between 0 and model.n_layer={n_layer}: the first that many layers"
            )
        return frozenset(range(value))
    outside = [layer for layer in value if not 0 <= layer < n_layer]
    if outside:
        raise RequestError(
            f"{field}={list(value)} names layer {outside[0]}, but model.n_layer={n_layer} has only 0 to "
            f"{n_layer - 1}"
        )
    return frozenset(value)
