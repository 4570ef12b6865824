"""A candidate in numbers, for models of perplexity: what it is made of, where, and how it is trained.

Where a kind of layer sits is told by the Legendre moments of its places: the mean over layers of
[layer is of the kind] * P_q(x) with x from -1 (shallowest) to 1 (deepest) and q = 0 to 3. The first is the share of
such layers, the second how deep they lie, the others how they spread; a depth of 4 or less is told completely,
and models of different depths share one description. Everything is finite and of fixed length.
"""

from __future__ import annotations

import functools
import math
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt
from numpy.polynomial import legendre

from aero_search.architecture import Architecture
from aero_search.architecture.spec import Family, Nonlinearity, Norm
from aero_search.search.candidate import Candidate
from aero_search.training.recipe import Recipe

Array = npt.NDArray[np.float64]

_MOMENTS = 4
_NORMS = [norm for norm in get_args(Norm) if norm != "none"]
_NONLINEARITIES = list(get_args(Nonlinearity))
_FAMILIES = get_args(Family)
_STABILIZERS = ("scaled", "weight_norm", "spectral_norm")
# What the targets of a reparametrization name: qk, qkv or qkvo, and the feed-forward.
_TARGETS = ("qk", "qkv", "qkvo", "ffn")
_LOGARITHMIC = ("steps", "batch_size", "lr", "accumulate", "eps", "init_std")
# What of a recipe is described, and its choices where it is a choice: everything but its seeds.
_RECIPE = {
    name: get_args(hint) if get_origin(hint) is Literal else ()
    for name, hint in get_type_hints(Recipe).items()
    if name not in ("seed", "data_seed")
}


def features(candidate: Candidate) -> Array:
    """Describe a candidate, (length,); equal for equal candidates whatever their seeds."""
    a = candidate.architecture
    return np.array([*_layers(a), *_whole(a), *_recipe(candidate.recipe, a)], dtype=np.float64)


def matrix_parameters(a: Architecture) -> int:
    """Weights in matrices: linears, token embedding (and the LM head where it is not tied), learned positions.

    Norms, biases and scalars are left out: a thousandth of the whole.
    """
    d, kv = a.d_model, a.kv_heads * a.d_head
    attention = d * (d + kv) + (d * kv + d * d if a.attention.value_projection == "full" else 0)
    full = (3 if a.gated else 2) * d * a.d_ff
    ffn = sum({"full": full, "fused": d * d, "none": 0}[layer.ffn] for layer in a.layers)
    embeddings = a.vocab_size * d * (1 if a.tied_embeddings else 2)
    positions = a.seq_len * d if a.family == "gpt2" else 0
    return a.n_layer * attention + ffn + embeddings + positions


@functools.lru_cache(maxsize=64)
def _polynomials(n_layer: int) -> Array:
    """P_0 to P_3 at the layers, over their number: (n_layer, 4)."""
    x = (2 * np.arange(n_layer) + 1) / n_layer - 1
    return np.asarray(legendre.legvander(x, _MOMENTS - 1) / n_layer, dtype=np.float64)


def _layers(a: Architecture) -> list[float]:
    acts = [layer.activation if layer.ffn == "full" else "identity" for layer in a.layers]
    kinds = [
        *([layer.norm == norm for layer in a.layers] for norm in _NORMS),
        [layer.ffn != "none" for layer in a.layers],
        [layer.ffn == "fused" for layer in a.layers],
        [act != "identity" for act in acts],
        *([act == kind for act in acts] for kind in _NONLINEARITIES),
    ]
    moments: list[float] = (np.array(kinds, dtype=np.float64) @ _polynomials(a.n_layer)).ravel().tolist()
    return moments


def _whole(a: Architecture) -> list[float]:
    attention, stabilizer, regularizer = a.attention, a.stabilizer, a.regularizer
    targets = stabilizer.targets.split("+") if stabilizer.kind in ("weight_norm", "spectral_norm") else []
    regularized = regularizer.weight > 0
    return [
        *(stabilizer.kind == kind for kind in _STABILIZERS),
        *(target in targets for target in _TARGETS),
        attention.value_projection == "identity",
        attention.shaped,
        attention.temperature == "learned",
        # A temperature that is not learned is 1.
        math.log(attention.temperature_init) if attention.temperature == "learned" else 0.0,
        regularized,
        math.log10(regularizer.weight) + 2 if regularized else 0.0,
        regularizer.margin if regularized else 0.0,
        regularizer.threshold_init if regularized else 0.0,
        regularized and regularizer.reduction == "sum",
        regularized and regularizer.sided == "one",
        regularized and regularizer.reference == "log_t",
        *(a.family == family for family in _FAMILIES),
        *(a.final_norm == norm for norm in _NORMS),
        a.gated,
        a.tied_embeddings,
        math.log(a.ffn_ratio),
        math.log(a.d_model),
        math.log(a.n_layer),
        math.log(a.n_head),
        math.log(a.kv_heads),
        math.log(a.seq_len),
        math.log(a.vocab_size),
        math.log(matrix_parameters(a)),
    ]


def _recipe(recipe: Recipe, a: Architecture) -> list[float]:
    values: list[float] = []
    for name, choices in _RECIPE.items():
        value = getattr(recipe, name)
        if name == "init_std" and value is None:
            value = 0.02 * math.sqrt(768 / a.d_model)  # what null stands for
        if choices:
            values += [value == choice for choice in choices[1:]]
        elif name in _LOGARITHMIC:
            values.append(math.log(max(value, 1e-30)))
        else:
            values.append(float(value or 0))
    return values
