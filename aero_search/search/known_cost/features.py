"""A candidate in numbers, for models of perplexity: what it is made of, where, and how it is trained.

Where a kind of layer sits is told by the Legendre moments of its places: the mean over layers of
[layer is of the kind] * P_q(x) with x from -1 (shallowest) to 1 (deepest) and q = 0 to 3. The first is the share of
such layers, the second how deep they lie, the others how they spread; a depth of 4 or less is told completely,
and models of different depths share one description. Everything is finite and of fixed length.

Every other field of an architecture and of a recipe is described by its type, so that a new one cannot be left out:
a choice by one number an alternative, a number by itself or by its logarithm. What has a better description of its
own is named in `_OWN`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre

from aero_search.architecture import Architecture, Layer, Stabilizer
from aero_search.architecture.operations import IDENTITY, NONE
from aero_search.architecture.spec import StabilizerTargets
from aero_search.schema import alternatives
from aero_search.search.candidate import Candidate

Array = npt.NDArray[np.float64]
_Read = Callable[[Any], list[float]]

_MOMENTS = 4
# Names of what is not there.
_NOTHING = (NONE, IDENTITY)
# What the targets of a reparametrization name: qk, qkv or qkvo, and the feed-forward.
_TARGETS = tuple(dict.fromkeys(part for said in get_args(StabilizerTargets) for part in said.split("+")))
_REPARAMETRIZED = ("weight_norm", "spectral_norm")
# Numbers whose factors matter, not their differences; a setting without effect has the number of none.
_LOGARITHMIC = {
    *(
        "n_head",
        "d_model",
        "seq_len",
        "vocab_size",
        "ffn_ratio",
        "share_layers",
        "ffn_rank",
        "regularizer.every",
    ),
    *(f"recipe.{name}" for name in ("steps", "batch_size", "lr", "accumulate", "eps")),
    "train.rank",
}
_SEEDS = ("recipe.seed", "recipe.data_seed")
# By the field's dotted name, instead of what follows from its type.
_OWN: Mapping[str, Callable[[Candidate], list[float]]] = {
    "layers": lambda c: _layers(c.architecture),
    "n_kv_head": lambda c: [math.log(c.architecture.kv_heads)],
    "stabilizer.targets": lambda c: _targets(c.architecture.stabilizer),
    # A temperature that is not learned is 1.
    "attention.temperature_init": lambda c: [
        math.log(c.architecture.attention.temperature_init)
        if c.architecture.attention.temperature == "learned"
        else 0.0
    ],
    "regularizer.weight": lambda c: _weight(c.architecture.regularizer.weight),
    # What null stands for.
    "recipe.init_std": lambda c: [
        math.log(c.recipe.init_std or 0.02 * math.sqrt(768 / c.architecture.d_model))
    ],
}


def features(candidate: Candidate) -> Array:
    """Describe a candidate, (length,); equal for equal candidates whatever their seeds.

    Raises:
        TypeError: a field has a type that has no description: it needs one in `_OWN`.
    """
    a = candidate.architecture
    values = [
        *_described(candidate, a, ""),
        math.log(a.n_layer),
        math.log(matrix_parameters(a)),
        *_described(candidate, candidate.recipe, "recipe."),
    ]
    # All candidates of a study start from a checkpoint, or none does.
    if (recovery := candidate.recovery) is not None:
        values += [
            *_described(candidate, recovery.distill, "distill."),
            *_described(candidate, recovery.train, "train."),
        ]
    return np.array(values, dtype=np.float64)


def _described(candidate: Candidate, part: Any, where: str) -> Iterator[float]:
    """Every field of a dataclass in numbers, of one length whatever the values are."""
    # A penalty of weight 0 is none, whatever its settings are.
    idle = where == "regularizer." and not candidate.architecture.regularizer.weight
    for name, (field, read) in _fields(cast(Any, type(part)), where).items():
        if field in _OWN:
            yield from _OWN[field](candidate)
        elif read is None:
            yield from _described(candidate, getattr(part, name), f"{field}.")
        else:
            numbers = read(getattr(part, name))
            yield from (0.0 for _ in numbers) if idle else numbers


@functools.cache
def _fields(cls: Any, where: str) -> Mapping[str, tuple[str, _Read | None]]:
    """The fields of a dataclass: dotted name and what reads them; None for another dataclass."""
    found: dict[str, tuple[str, _Read | None]] = {}
    for name, hint in get_type_hints(cls, include_extras=True).items():
        field = where + name
        if field not in _SEEDS:
            plain = field not in _OWN and not dataclasses.is_dataclass(hint)
            found[name] = field, _reader(field, hint) if plain else None
    return found


def _reader(field: str, hint: Any) -> _Read:
    """From a value of the type to numbers; of a choice the first alternative is all zeros."""
    if choices := alternatives(hint):
        return lambda value: [float(value == choice) for choice in choices[1:]]
    if get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint):
        others = [other for other in get_args(hint) if other is not type(None)]
        if len(others) == 1:
            read, instead = _reader(field, others[0]), (alternatives(others[0]) or (1,))[0]
            return lambda value: [float(value is None), *read(instead if value is None else value)]
    if hint in (int, float) and field in _LOGARITHMIC:
        return lambda value: [math.log(max(value, 1e-30))]
    if hint in (int, float, bool):
        return lambda value: [float(value)]
    raise TypeError(f"{field} has the type {hint!r}, which features cannot describe: give it a place in _OWN")


def matrix_parameters(a: Architecture) -> int:
    """Weights in matrices: linears, token embedding (and the LM head where it is not tied), learned positions.

    Norms, biases and scalars are left out: a thousandth of the whole.
    """
    d, kv = a.d_model, a.kv_heads * a.d_head
    attention = d * (d + kv) + (d * kv + d * d if a.attention.value_projection == "full" else 0)
    ffn = sum(a.feed_forward_weights(layer) for layer in a.own_layers)
    embeddings = a.vocab_size * d * (1 if a.tied_embeddings else 2)
    positions = 0 if a.rotary_channels else a.seq_len * d
    attending = sum(layer.attends for layer in a.own_layers)
    return attending * attention + ffn + embeddings + positions


@functools.lru_cache(maxsize=64)
def _polynomials(n_layer: int) -> Array:
    """P_0 to P_3 at the layers, over their number: (n_layer, 4)."""
    x = (2 * np.arange(n_layer) + 1) / n_layer - 1
    return np.asarray(legendre.legvander(x, _MOMENTS - 1) / n_layer, dtype=np.float64)


def _layers(a: Architecture) -> list[float]:
    moments: list[float] = (_kinds(a.layers) @ _polynomials(a.n_layer)).ravel().tolist()
    return moments


def _kinds(layers: Sequence[Layer]) -> Array:
    """Which layers have something and which something else than the usual, by field, (kinds, n_layer)."""
    rows: list[list[bool]] = []
    for name, (nothing, *others) in _layer_choices().items():
        unused = name == "activation"
        said = [nothing if unused and not at.is_full else getattr(at, name) for at in layers]
        rows.append([value != nothing for value in said])
        rows += [[value == choice for value in said] for choice in others[1:]]
    return np.array(rows, dtype=np.float64)


@functools.cache
def _layer_choices() -> Mapping[str, tuple[Any, ...]]:
    """The alternatives of each field of a layer: that which means there is nothing, the usual one, the others.

    Raises:
        TypeError: a field is no choice.
    """
    found = {}
    for name, hint in get_type_hints(Layer, include_extras=True).items():
        choices = (False, True) if hint is bool else alternatives(hint)
        if not choices:
            raise TypeError(f"layers.{name} has the type {hint!r}, which features cannot describe")
        found[name] = tuple(sorted(choices, key=lambda choice: choice not in _NOTHING))
    return found


def _targets(stabilizer: Stabilizer) -> list[float]:
    said = stabilizer.targets.split("+") if stabilizer.kind in _REPARAMETRIZED else []
    return [float(target in said) for target in _TARGETS]


def _weight(weight: float) -> list[float]:
    """Whether there is a penalty, and how heavy it is."""
    return [1.0, math.log10(weight) + 2] if weight else [0.0, 0.0]
