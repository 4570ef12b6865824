"""From the groups model, norm, activation, ffn, stabilizer, attention, regularizer to an Architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from aero_search.architecture import Architecture, Attention, Layer, Regularizer, Stabilizer, validate
from aero_search.architecture.operations import NONE, SOFTMAX, Activation, AttentionKind, FeedForward, Norm
from aero_search.architecture.spec import Family
from aero_search.architecture.validity import MAX_LAYERS
from aero_search.errors import RequestError
from aero_search.export.layout import ARCHITECTURE_FILE, LARGEST
from aero_search.schema import beyond, from_mapping
from aero_search.space.allowed import ARCHITECTURE_GROUPS
from aero_search.untrusted_files import read_yaml
from aero_search.user_path import user_path

T = TypeVar("T")
LayerSet = str | int | float | tuple[int, ...]
GROUPS = ARCHITECTURE_GROUPS


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
    share_layers: int = 1
    public_layers: int = 0
    rotary_share: float | None = None
    parallel_residual: bool | None = None
    biases: bool | None = None


@dataclass(frozen=True)
class NormGroup:
    """conf/norm/*.yaml"""

    kind: Norm | tuple[Norm, ...]
    layers: LayerSet
    final: Norm


@dataclass(frozen=True)
class ActivationGroup:
    """conf/activation/*.yaml"""

    kind: Activation | tuple[Activation, ...]


@dataclass(frozen=True)
class FeedForwardGroup:
    """conf/ffn/*.yaml"""

    kind: FeedForward | tuple[FeedForward, ...]
    layers: LayerSet
    rank: int = 0


@dataclass(frozen=True)
class AttentionGroup(Attention):
    """conf/attention/*.yaml: what every layer has, and the kind of each."""

    kind: AttentionKind | tuple[AttentionKind, ...] = SOFTMAX


def read_architecture(groups: Mapping[str, Any]) -> Architecture:
    """Build the Architecture that the composed groups describe, or the one that `architecture` gives whole.

    Raises:
        SchemaError: a field is unknown or of the wrong type.
        InvalidArchitectureError: no network can be built so; says which fields and how to mend.
    """
    return validate(described_architecture(groups))


def described_architecture(groups: Mapping[str, Any]) -> Architecture:
    """The same before it is known whether it can be built; raises SchemaError alone."""
    if groups.get("architecture") is not None:
        return _whole(groups["architecture"])
    model = from_mapping(ModelGroup, groups.get("model"), "model")
    norm = from_mapping(NormGroup, groups.get("norm"), "norm")
    activation = from_mapping(ActivationGroup, groups.get("activation"), "activation")
    ffn = from_mapping(FeedForwardGroup, groups.get("ffn"), "ffn")
    attention = from_mapping(AttentionGroup, groups.get("attention"), "attention")
    for problem in beyond("model.n_layer", model.n_layer, 1, MAX_LAYERS):
        raise RequestError(problem)
    normed = layer_set("norm.layers", norm.layers, model.n_layer)
    kept = layer_set("ffn.layers", ffn.layers, model.n_layer)
    norms: tuple[Norm, ...] = by_layer("norm.kind", norm.kind, model.n_layer)
    activations: tuple[Activation, ...] = by_layer("activation.kind", activation.kind, model.n_layer)
    kinds: tuple[FeedForward, ...] = by_layer("ffn.kind", ffn.kind, model.n_layer)
    attentions: tuple[AttentionKind, ...] = by_layer("attention.kind", attention.kind, model.n_layer)
    layers = tuple(
        Layer(
            norm=norms[i] if i in normed else NONE,
            activation=activations[i],
            ffn=kinds[i] if i in kept else NONE,
            attention=attentions[i],
        )
        for i in range(model.n_layer)
    )
    # The depth is that of the layers.
    sizes = {
        field.name: getattr(model, field.name) for field in fields(ModelGroup) if field.name != "n_layer"
    }
    return Architecture(
        **sizes,
        layers=layers,
        final_norm=norm.final,
        ffn_rank=ffn.rank,
        attention=Attention(**{f.name: getattr(attention, f.name) for f in fields(Attention)}),
        stabilizer=from_mapping(Stabilizer, groups.get("stabilizer"), "stabilizer"),
        regularizer=from_mapping(Regularizer, groups.get("regularizer"), "regularizer"),
    )


def by_layer(field: str, value: T | tuple[T, ...], n_layer: int) -> tuple[T, ...]:
    """What each layer has, shallowest first: the same in all, or a list with one value a layer.

    Raises:
        RequestError: the list is not as long as the model is deep.
    """
    if not isinstance(value, tuple):
        return (value,) * n_layer
    if len(value) != n_layer:
        raise RequestError(
            f"{field}=[{','.join(map(str, value))}] has {len(value)} values, but model.n_layer={n_layer}: give "
            "one a layer, or one for all"
        )
    return value


def _whole(given: object) -> Architecture:
    """A description as an export writes it: fields, the path of a YAML file with them, or of a bundle."""
    if not isinstance(given, str):
        return validate(from_mapping(Architecture, given, "architecture"))
    path = user_path(given)
    if path.is_dir():
        path = path / ARCHITECTURE_FILE
    if not path.is_file():
        raise RequestError(
            f"architecture={given} is no file: give the path of an architecture.yaml, or its name in the folder "
            "architecture/ of a --config-dir"
        )
    path = path.resolve()
    data = read_yaml(path.parent, path.name, LARGEST[ARCHITECTURE_FILE])
    return validate(from_mapping(Architecture, data, "architecture"))


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
