"""What one change would save: the next step down the ladder, priced before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from aero_search.architecture import Architecture, Layer, violations
from aero_search.architecture.operations import (
    ACTIVATIONS,
    ATTENTIONS,
    FEED_FORWARDS,
    IDENTITY,
    NONE,
    NORMS,
)
from aero_search.cost.batch import Pricer
from aero_search.cost.network import Network
from aero_search.cost.protocol import Protocol
from aero_search.cost.workload import PREFILL, Workload
from aero_search.errors import RequestError


@dataclass(frozen=True)
class Change:
    """One change and its saving.

    Attributes:
        kind: `norm` and `feed_forward` remove one, `activation` and `attention` replace one, `fuse` makes one
            feed-forward a single linear, `layer` removes the deepest decoder layer.
        description: for people, for example `gelu to relu in one of layers 0-11`.
        layers: the decoder layers (of those that share weights the first) in which this change saves the same; none
            for the final norm and for that of queries and keys, which all layers have.
        architecture: the result, changed in the deepest of them.
        bytes_saved, seconds_saved, rounds_saved: before minus after.
    """

    kind: str
    description: str
    layers: tuple[int, ...]
    architecture: Architecture
    bytes_saved: float
    seconds_saved: float
    rounds_saved: float


@dataclass(frozen=True)
class _Candidate:
    kind: str
    what: str
    layer: int | None
    architecture: Architecture


def single_changes(
    architecture: Architecture,
    protocol: Protocol,
    network: Network,
    limit: int = 10,
    workload: Workload = PREFILL,
) -> tuple[Change, ...]:
    """The single changes that save most seconds (then bytes), at most `limit`, best first.

    The same change in several layers that saves the same in each is listed once, with the layers.

    Raises:
        RequestError: the protocol does not say how to run one of the operations.
    """
    pricer = Pricer(protocol, network, workload)
    pricer.price([architecture])
    candidates = [c for c in _candidates(architecture) if _priced(pricer, c)]
    prices = pricer.price([architecture, *(c.architecture for c in candidates)])
    groups: dict[tuple[str, float, float], list[int]] = {}
    for i, candidate in enumerate(candidates, start=1):
        saved = float(prices.communication_bytes[0] - prices.communication_bytes[i])
        faster = float(prices.latency_seconds[0] - prices.latency_seconds[i])
        if saved > 0 or faster > 0:
            # Sums of floats in another order: equal to well below a byte and a microsecond.
            groups.setdefault((candidate.what, round(saved), round(faster, 6)), []).append(i)
    changes = []
    for members in groups.values():
        layers = tuple(layer for i in members if (layer := candidates[i - 1].layer) is not None)
        last = members[-1]
        changes.append(
            Change(
                kind=candidates[last - 1].kind,
                description=_describe(candidates[last - 1], layers),
                layers=layers,
                architecture=candidates[last - 1].architecture,
                bytes_saved=float(prices.communication_bytes[0] - prices.communication_bytes[last]),
                seconds_saved=float(prices.latency_seconds[0] - prices.latency_seconds[last]),
                rounds_saved=float(prices.rounds[0] - prices.rounds[last]),
            )
        )
    changes.sort(key=lambda change: (-change.seconds_saved, -change.bytes_saved))
    return tuple(changes[:limit])


def _candidates(a: Architecture) -> Iterator[_Candidate]:
    # Layers that share their weights change together.
    k = a.share_layers
    together = f", {k} layers at once" if k > 1 else ""
    for i in range(a.public_layers, a.n_layer, k):
        for kind, what, cheaper in _cheaper(a.layers[i]):
            changed = _with(a, i, cheaper)
            # A change may exclude what the rest of the network needs, and something must be left.
            if not list(violations(changed)):
                yield _Candidate(kind, what + together, i, changed)
    for final in NORMS[a.final_norm].cheaper:
        what = _replaced(f"final {a.final_norm}", final)
        yield _Candidate("norm", what, None, replace(a, final_norm=final))
    for norm in NORMS[a.attention.qk_norm].cheaper:
        what = _replaced(f"{a.attention.qk_norm} of queries and keys", norm)
        changed = replace(a, attention=replace(a.attention, qk_norm=norm))
        if not list(violations(changed)):
            yield _Candidate("norm", what, None, changed)
    if len(a.private_layers) > k:
        what = "deepest layer removed" if k == 1 else f"deepest {k} layers removed"
        yield _Candidate("layer", what, a.n_layer - 1, replace(a, layers=a.layers[:-k]))


def _cheaper(layer: Layer) -> Iterator[tuple[str, str, Layer]]:
    """The kind of change, what it is, and the layer after it, as the cards of its operations propose them."""
    for norm in NORMS[layer.norm].cheaper:
        yield "norm", _replaced(layer.norm, norm), replace(layer, norm=norm)
    for attention in ATTENTIONS[layer.attention].cheaper:
        yield "attention", _replaced(layer.attention, attention), replace(layer, attention=attention)
    if layer.is_full:
        for activation in ACTIVATIONS[layer.activation].cheaper:
            what = f"{layer.activation} to {activation}"
            yield "activation", what, replace(layer, activation=activation)
    for ffn in FEED_FORWARDS[layer.ffn].cheaper:
        kind, what = FEED_FORWARDS[ffn].becoming or ("feed_forward", f"feed-forward {layer.ffn} to {ffn}")
        yield kind, what, replace(layer, activation=IDENTITY, ffn=ffn)


def _replaced(old: str, new: str) -> str:
    return f"{old} removed" if new == NONE else f"{old} to {new}"


def _priced(pricer: Pricer, candidate: _Candidate) -> bool:
    """Whether the protocol says how to run what a change proposes: a protocol of the user's own may not."""
    try:
        pricer.price([candidate.architecture])
    except RequestError:
        return False
    return True


def _with(a: Architecture, index: int, layer: Layer) -> Architecture:
    group = a.share_layers
    return replace(a, layers=(*a.layers[:index], *(layer,) * group, *a.layers[index + group :]))


def _describe(candidate: _Candidate, layers: tuple[int, ...]) -> str:
    if not layers or candidate.kind == "layer":
        return candidate.what
    where = f"layer {layers[0]}" if len(layers) == 1 else f"one of layers {_spans(layers)}"
    return f"{candidate.what} in {where}"


def _spans(layers: tuple[int, ...]) -> str:
    """Write (0, 1, 2, 5) as `0-2, 5`."""
    spans: list[list[int]] = []
    for layer in layers:
        if spans and layer == spans[-1][1] + 1:
            spans[-1][1] = layer
        else:
            spans.append([layer, layer])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
