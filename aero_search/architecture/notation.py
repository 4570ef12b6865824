"""The paper's names for architectures, read and written: `SM + LN + G`, `EReg(SM(t) + ScFuFFN_i6)`.

Terms, joined by ` + ` (AERO, tables 2 to 7; those marked * are ours, in the paper's manner):

    SM                          softmax attention; SM(t) with learned temperatures
    QKNorm(RMS)*                queries and keys normalized in each head
    LN  RMS*                    the normalization in every layer; neither: none
    G R GT* LR* R2* Q* Si* ...  the activation; none: linear feed-forwards
    SwiGLU ReGLU GeGLU ...*     the same, gated
    ScFFN ScFuFFN FuFFN* FFN*   scaled, scaled and fused, fused, plain feed-forwards
    WeightNorm(QK+FFN) SpectralNorm(FFN)   the reparametrized linears
    _iK           after the last term: the deepest K feed-forwards removed
    EReg(...)     trained with the entropy regularizer

Terms of attention, norms, activations and feed-forwards are their cards' (`architecture.operations`).
What the terms cannot say follows in brackets as `field=value` pairs, per-layer fields joined by `/`:
`SM + LN + R [norm=layernorm/none/none/none]`. Sizes and family are not part of a name; facets that the
family does not have of itself are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from aero_search.architecture.canonical import canonical
from aero_search.architecture.families import FACETS
from aero_search.architecture.operations import (
    ACTIVATIONS,
    ATTENTIONS,
    FEED_FORWARDS,
    FULL,
    FUSED,
    IDENTITY,
    LAYERNORM,
    NONE,
    NORMS,
    SOFTMAX,
    Norm,
)
from aero_search.architecture.spec import Architecture, Attention, Layer, Regularizer, Stabilizer
from aero_search.errors import RequestError, nearest
from aero_search.schema import from_mapping

# The weight that a bare `EReg(...)` stands for; DATA measurements of the proxy task favour this order.
EREG_WEIGHT = 0.02

# What savings are counted from: the architecture that AERO starts with.
BASELINE = "SM + LN + G"

TARGETS = {"QK": "qk", "FFN": "ffn", "QK+FFN": "qk+ffn", "QKV+FFN": "qkv+ffn", "QKVO+FFN": "qkvo+ffn"}
REPARAMETRIZATIONS = {"WeightNorm": "weight_norm", "SpectralNorm": "spectral_norm"}
QK_NORM = "QKNorm"
_GROUPS = {"attention": Attention, "stabilizer": Stabilizer, "regularizer": Regularizer}
_PER_LAYER = tuple(f.name for f in fields(Layer))


@dataclass(frozen=True)
class _Plain:
    """What a name may say of the whole network, beside the groups."""

    final_norm: Norm
    gated: bool
    ffn_ratio: float
    share_layers: int
    ffn_rank: int
    public_layers: int
    rotary_share: float
    parallel_residual: bool
    biases: bool


_PLAIN = tuple(f.name for f in fields(_Plain))


class NotationError(RequestError):
    """The text is not a name in the paper's notation."""


@dataclass
class _Reading:
    """What the terms of one name have said so far."""

    kind: str = SOFTMAX
    norm: str = NONE
    activation: str = IDENTITY
    gated: bool = False
    ffn: str = FULL
    removed: int = 0
    attention: dict[str, Any] = field(default_factory=dict)
    stabilizer: dict[str, Any] = field(default_factory=dict)


def notation(a: Architecture) -> str:
    """Name an architecture; `parse_notation(notation(a), base=a)` is its canonical form again."""
    a = canonical(a)
    text = _terms(a)
    preset = replace(a, rotary_share=None, parallel_residual=None, biases=None)
    said = _flat(canonical(_from_terms(text, preset)))
    rest = [f"{name}={_write(value)}" for name, value in _flat(a).items() if said[name] != value]
    return f"{text} [{', '.join(rest)}]" if rest else text


def parse_notation(text: str, base: Architecture) -> Architecture:
    """Read a name; sizes, family and embeddings come from `base`. Returns the canonical form.

    Raises:
        NotationError: a term is unknown, with the nearest one.
    """
    match = re.fullmatch(r"\s*(?P<terms>[^\[\]]+?)\s*(?:\[(?P<rest>[^\[\]]*)\])?\s*", text)
    if match is None:
        raise NotationError(f"'{text}' is not a name such as 'SM + LN + G' or 'EReg(SM(t) + ScFuFFN)'")
    a = _from_terms(match["terms"], base)
    if match["rest"]:
        a = _with_fields(a, match["rest"])
    return canonical(a)


def _terms(a: Architecture) -> str:
    kinds = {layer.attention for layer in a.layers}
    attention = ATTENTIONS[kinds.pop() if len(kinds) == 1 else SOFTMAX].term
    terms = [f"{attention}(t)" if a.attention.temperature == "learned" else str(attention)]
    if qk_norm := NORMS[a.attention.qk_norm].term:
        terms.append(f"{QK_NORM}({qk_norm})")
    norms = {layer.norm for layer in a.layers}
    if len(norms) == 1 and (norm := NORMS[norms.pop()].term):
        terms.append(norm)
    activation = None
    activations = {layer.activation for layer in a.layers if layer.is_full}
    if len(activations) == 1:
        card = ACTIVATIONS[activations.pop()]
        activation = card.gated_term if a.gated else card.term
    if activation is not None:
        terms.append(activation)
    kind, removed = _placement(a)
    scaled = a.stabilizer.kind == "scaled"
    if scaled or kind == FUSED or (removed and activation is None):
        feed_forward = FEED_FORWARDS[kind]
        terms.append(str(feed_forward.scaled_term if scaled else feed_forward.term))
    for name, stabilizer in REPARAMETRIZATIONS.items():
        if a.stabilizer.kind == stabilizer:
            terms.append(f"{name}({a.stabilizer.targets.upper()})")
    text = " + ".join(terms) + (f"_i{removed}" if removed else "")
    return f"EReg({text})" if a.regularizer.weight else text


def _placement(a: Architecture) -> tuple[str, int]:
    """The one kind of feed-forward and how many of the deepest are gone; (FULL, 0) where that is not so."""
    kinds = [layer.ffn for layer in a.layers]
    removed = len(kinds) - max((i for i, kind in enumerate(kinds, start=1) if kind != NONE), default=0)
    kept = set(kinds[: len(kinds) - removed])
    if not kept:
        return FULL, removed
    return (kept.pop(), removed) if len(kept) == 1 and NONE not in kept else (FULL, 0)


def _from_terms(text: str, base: Architecture) -> Architecture:
    text = text.strip()
    regularized = re.fullmatch(r"EReg\((.*)\)", text)
    body = regularized[1] if regularized else text
    reading = _Reading()
    if suffix := re.search(r"_i(\d+)$", body):
        reading.removed = int(suffix[1])
        body = body[: suffix.start()]
    for position, term in enumerate(_split(body)):
        _read_term(reading, term, first=position == 0)
    n = base.n_layer
    if reading.removed > n:
        raise NotationError(f"'{text}' removes {reading.removed} feed-forwards of a model with {n} layers")
    layers = tuple(
        from_mapping(
            Layer,
            {
                "norm": reading.norm,
                "activation": reading.activation,
                "ffn": reading.ffn if i < n - reading.removed else NONE,
                "attention": reading.kind,
            },
        )
        for i in range(n)
    )
    own_final = reading.norm not in (NONE, LAYERNORM)
    return replace(
        base,
        layers=layers,
        gated=reading.gated,
        ffn_ratio=4.0,
        share_layers=1,
        ffn_rank=0,
        public_layers=0,
        final_norm=reading.norm if own_final else base.wiring.norm,
        attention=from_mapping(Attention, reading.attention, "attention"),
        stabilizer=from_mapping(Stabilizer, reading.stabilizer, "stabilizer"),
        regularizer=Regularizer(weight=EREG_WEIGHT) if regularized else Regularizer(),
    )


def _split(body: str) -> Iterator[str]:
    """Split at every + outside parentheses."""
    for term in re.split(r"\+(?![^()]*\))", body):
        yield re.sub(r"\s+", "", term)


def _read_term(reading: _Reading, term: str, first: bool) -> None:
    target = re.fullmatch(r"(\w+)\(([\w+]+)\)", term)
    attention = ATTENTIONS.by_term(term.removesuffix("(t)"))
    if attention is not None:
        if not first:
            raise NotationError(f"{attention.term} comes first in a name, and once")
        reading.kind = attention.name
        reading.attention["temperature"] = "learned" if term.endswith("(t)") else "none"
    elif first:
        begins = " or ".join(f"{name}, {name}(t)" for name in ATTENTIONS.terms)
        raise NotationError(f"a name begins with {begins}, not '{term}'")
    elif norm := NORMS.by_term(term):
        reading.norm = norm.name
    elif activation := ACTIVATIONS.by_term(term):
        reading.activation, reading.gated = activation.name, term == activation.gated_term
    elif feed_forward := FEED_FORWARDS.by_term(term):
        reading.ffn = feed_forward.name
        if term == feed_forward.scaled_term:
            reading.stabilizer["kind"] = "scaled"
    elif target and target[1] in REPARAMETRIZATIONS and target[2] in TARGETS:
        reading.stabilizer = {"kind": REPARAMETRIZATIONS[target[1]], "targets": TARGETS[target[2]]}
    elif target and target[1] == QK_NORM and (norm := NORMS.by_term(target[2])):
        reading.attention["qk_norm"] = norm.name
    else:
        known = [name + t for name in ATTENTIONS.terms for t in ("", "(t)")]
        known += [*NORMS.terms, *ACTIVATIONS.terms, *FEED_FORWARDS.terms]
        known += [f"{QK_NORM}({card.term})" for card in NORMS.values() if card.term and card.per_head]
        known += [f"{name}({targets})" for name in REPARAMETRIZATIONS for targets in TARGETS]
        raise NotationError(f"'{term}' is not a term of the notation: {nearest(term, known)}")


def _flat(a: Architecture) -> dict[str, Any]:
    """Everything that a name may say, as `field: value` with one value a layer for per-layer fields."""
    flat: dict[str, Any] = {name: tuple(getattr(layer, name) for layer in a.layers) for name in _PER_LAYER}
    flat |= {name: getattr(a.wiring if name in FACETS else a, name) for name in _PLAIN}
    for group, cls in _GROUPS.items():
        flat |= {f"{group}.{f.name}": getattr(getattr(a, group), f.name) for f in fields(cls)}
    return flat


def _write(value: Any) -> str:
    if isinstance(value, tuple):
        return "/".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(text: str, like: Any) -> Any:
    if isinstance(like, tuple):
        return tuple(text.split("/"))
    if isinstance(like, bool):
        return {"true": True, "false": False}.get(text, text)
    if isinstance(like, int | float):
        try:
            return type(like)(text)
        except ValueError:
            return text
    return text


def _with_fields(a: Architecture, rest: str) -> Architecture:
    flat: Mapping[str, Any] = _flat(a)
    said: dict[str, Any] = {}
    for pair in rest.split(","):
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not equals or name not in flat:
            raise NotationError(f"'{pair.strip()}' in brackets is not a field=value: {nearest(name, flat)}")
        said[name] = _read(text, flat[name])
    values = {**flat, **said}
    for name in _PER_LAYER:
        if len(values[name]) != a.n_layer:
            raise NotationError(f"{name} in brackets needs {a.n_layer} values joined by '/', one a layer")
    layers = tuple(
        from_mapping(Layer, {name: values[name][i] for name in _PER_LAYER}) for i in range(a.n_layer)
    )
    groups: dict[str, Any] = {
        group: from_mapping(cls, {f.name: values[f"{group}.{f.name}"] for f in fields(cls)}, group)
        for group, cls in _GROUPS.items()
    }
    plain = from_mapping(_Plain, {name: values[name] for name in _PLAIN})
    return replace(a, layers=layers, **vars(plain), **groups)
