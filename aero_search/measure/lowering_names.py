"""Which implementation runs each nonlinearity, by the operation cards and what a protocol asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aero_search.architecture.cards import Card
from aero_search.architecture.operations import ACTIVATIONS, ATTENTIONS, NORMS


def runnable_lowerings() -> dict[str, tuple[str, ...]]:
    """By operation kind, the lowerings that can be run, the default first (`measure.lowerings` has them)."""
    return {card.operation: card.lowerings for card in _cards() if card.operation and card.lowerings}


def exact_functions() -> dict[str, str]:
    """By operation kind, the function as it is, which a party runs in the clear."""
    return {card.operation: card.exact for card in _cards() if card.operation and card.exact}


def _cards() -> Iterator[Card]:
    return (card for registry in (ATTENTIONS, ACTIVATIONS, NORMS) for card in registry.values())


def lowering_names(asked: Mapping[str, str]) -> dict[str, str]:
    """What runs where a protocol asks for `asked`: our lowering of that name, else the kind's default."""
    chosen = {
        kind: asked[kind] if asked.get(kind) in names else names[0]
        for kind, names in runnable_lowerings().items()
    }
    one_hot = {"one_hot": "equality"} if asked.get("one_hot") == "equality" else {}
    return chosen | one_hot
