"""Lowerings to choose from: a network takes the cheapest of those that may serve an operation.

How secure inference runs an operation changes no weight, so it is nothing to train: a network is priced under every
lowering that it may have. Prices add up over operations, so that the cheapest of each is the cheapest of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from aero_search.cost.protocol import Protocol
from aero_search.errors import RequestError, nearest


@dataclass(frozen=True)
class Lowerings:
    """What may serve which operation.

    Attributes:
        choices: names of lowerings by the entry of `protocol.use` that they may stand in.
        by: the cost by which the cheapest is taken, such as latency_s; equal ones are told apart by latency, bytes
            and rounds, in this order, and the one listed first wins.
    """

    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    by: str = "latency_s"

    def __bool__(self) -> bool:
        return bool(self.choices)

    def known_to(self, protocol: Protocol) -> dict[str, tuple[str, ...]]:
        """Those that a protocol has; an entry of which it has none is left to its own `use`."""
        known = {
            entry: tuple(name for name in names if name in protocol.lowerings)
            for entry, names in self.choices.items()
        }
        return {entry: names for entry, names in known.items() if names}

    def unknown_to(self, protocol: Protocol) -> Iterator[str]:
        """One sentence for every entry of which a protocol has none."""
        known = self.known_to(protocol)
        for entry, names in self.choices.items():
            if entry not in known:
                yield (
                    f"protocol {protocol.name} has none of the lowerings {', '.join(names)} that the space lists "
                    f"for {entry}: it is priced as that protocol runs it by itself"
                )

    def without(self, entries: frozenset[str]) -> Lowerings:
        """The same with nothing to choose for these entries."""
        return replace(self, choices={e: names for e, names in self.choices.items() if e not in entries})

    def check(self, protocol: Protocol) -> None:
        """Hold every choice against what a protocol has.

        Raises:
            RequestError: an entry is no operation, or a lowering is not the protocol's or cannot serve it.
        """
        for entry, names in self.choices.items():
            for name in names:
                if name not in protocol.lowerings:
                    raise RequestError(
                        f"protocol.use.{entry}={name} in the space is no lowering of protocol {protocol.name}: "
                        f"{nearest(name, protocol.lowerings)}"
                    )
                protocol.with_use({entry: name})


NO_LOWERINGS = Lowerings()
