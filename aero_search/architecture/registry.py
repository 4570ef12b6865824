"""Cards by name, and what runs them by name: the tree's own, and those of plug-ins once one is asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, ClassVar, Generic, TypeVar

from aero_search.architecture.cards import PLACES, Card, Place
from aero_search.errors import AeroSearchError, RequestError, nearest
from aero_search.plugins import Entry, entries

C = TypeVar("C", bound=Card)
F = TypeVar("F", bound=Callable[..., Any])


class Registry(Mapping[str, C]):
    """The cards of one kind of operation.

    Looking up a name of the tree imports no plug-in; everything else loads those of `aero_search.operations`.

    Args:
        what: how people call such an operation, for messages.
        card: the class of its cards.
        cards: the tree's own, in an order that stays.
    """

    # Terms of the tree's own cards, of all registries: a name of the notation says one thing.
    _reserved: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, what: str, card: type[C], *cards: C) -> None:
        self.what = what
        self.card = card
        self._own = {card.name: card for card in cards}
        Registry._reserved |= {term for card in cards for term in card.terms}

    def __getitem__(self, name: str) -> C:
        return self._own[name] if name in self._own else self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def by_term(self, term: str) -> C | None:
        """The card that a term of the notation means; None where there is none."""
        for cards in (self._own, self._all()):
            for card in cards.values():
                if term in card.terms:
                    return card
        return None

    def by_operation(self, kind: str | None) -> C | None:
        """The first card that lists this kind in the inventory; None where there is none."""
        for cards in (self._own, self._all()):
            for card in cards.values():
                if kind is not None and card.operation == kind:
                    return card
        return None

    @property
    def terms(self) -> tuple[str, ...]:
        """Every term of the notation."""
        return tuple(term for card in self.values() for term in card.terms)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The operation kinds that they list in the inventory, each once."""
        return tuple(dict.fromkeys(card.operation for card in self.values() if card.operation is not None))

    def _all(self) -> dict[str, C]:
        found = dict(self._own)
        for entry, card in _plugin_cards():
            if not isinstance(card, self.card):
                continue
            if card.name in found:
                raise entry.fault(f"it brings the {self.what} {card.name}, which there is already")
            if taken := set(card.terms) & (self._reserved | {t for c in found.values() for t in c.terms}):
                raise entry.fault(f"the notation already has the term {min(taken)}")
            found[card.name] = card
        return found


class Implementations(Generic[F]):
    """What runs the cards of a registry in one place, by name."""

    def __init__(self, cards: Registry[Any], place: Place, found: Mapping[str, F] | None = None) -> None:
        self._cards = cards
        self._place: Place = place
        self._found: dict[str, F] = dict(found or {})

    def register(self, name: str) -> Callable[[F], F]:
        """Let the decorated function run the operation of this name."""

        def keep(function: F) -> F:
            self._found[name] = function
            return function

        return keep

    def __getitem__(self, name: str) -> F:
        """What runs it.

        Raises:
            RequestError: nothing does; the reason is the card's own.
        """
        if name not in self._found:
            require(self._cards, name, self._place)
            card: Card = self._cards[name]
            if self._place in card.modules:
                import_module_of(card, self._place)
        if name not in self._found:
            raise refusal(self._cards.what, name, self._place, "nothing registers an implementation of it")
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._found


def require(cards: Registry[Any], name: str, place: Place) -> None:
    """Refuse an operation that a place does not run.

    Raises:
        RequestError: it is not known, or its card says why it does not run there.
    """
    if name not in cards:
        raise RequestError(f"{name} is not a known {cards.what}: {nearest(name, cards)}")
    card: Card = cards[name]
    if place in card.unsupported:
        raise refusal(cards.what, name, place, card.unsupported[place])


def require_all(chosen: Iterable[tuple[Registry[Any], str]], place: Place) -> None:
    """Refuse the first of these operations that a place does not run.

    Raises:
        RequestError: as `require`.
    """
    for cards, name in chosen:
        require(cards, name, place)


def refusal(what: str, name: str, place: Place, reason: str) -> RequestError:
    """The one sentence for an operation that does not run in a place."""
    return RequestError(f"{what} {name} cannot {PLACES[place]}: {reason}")


@functools.cache
def _plugin_cards() -> tuple[tuple[Entry, Card], ...]:
    """The cards of every plug-in: an entry point names one, or a list or tuple of them."""
    found = []
    for entry in entries("aero_search.operations"):
        loaded = entry.loaded()
        for card in loaded if isinstance(loaded, list | tuple) else (loaded,):
            if not isinstance(card, Card):
                raise entry.fault(f"it names a {type(card).__name__} where a card is needed")
            found.append((entry, card))
    return tuple(found)


def import_module_of(card: Card, place: Place) -> None:
    """Import what registers a card's implementation in a place.

    Raises:
        AeroSearchError: it cannot be imported.
    """
    module = card.modules[place]
    try:
        import_module(module)
    except Exception as problem:  # a stranger's module may raise anything
        raise AeroSearchError(
            f"{module}, which runs {card.name}, cannot be imported ({type(problem).__name__}: {problem}): "
            "repair or uninstall the package that brings it"
        ) from problem
