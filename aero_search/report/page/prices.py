"""Prices for a page that knows no network yet: bytes, round trips and compute seconds, by protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aero_search.architecture import Architecture
from aero_search.cost import NO_LOWERINGS, PREFILL, Lowerings, Network, Pricer, Protocol, Workload, flops
from aero_search.errors import RequestError

# Prices of a link are added by the page; this one only lets a `Pricer` be made.
_ANY_LINK = Network("any", 1.0, 0.0)


class PageTariff:
    """Prices architectures under several protocols, without a network.

    latency = compute + bytes / bandwidth + round trips x round-trip time, so that three numbers a protocol are
    everything a page needs. A protocol that lacks one of an architecture's operations has no price for it. Where
    there are lowerings to choose from, the page takes the cheapest of several such rows under its network.
    """

    def __init__(
        self,
        protocols: Mapping[str, Protocol],
        workload: Workload = PREFILL,
        lowerings: Lowerings = NO_LOWERINGS,
    ) -> None:
        self.workload = workload
        self.lowerings = lowerings
        self._pricers = {
            name: Pricer(protocol, _ANY_LINK, workload, lowerings=lowerings)
            for name, protocol in protocols.items()
        }

    def __call__(self, architecture: Architecture) -> dict[str, Any]:
        """FLOPs (2 x MACs), and by protocol rows of [bytes, round trips, compute seconds]; None: no price."""
        by = {name: _price(pricer, architecture) for name, pricer in self._pricers.items()}
        return {"flops": float(flops(architecture, workload=self.workload).total), "by": by}

    def many(self, architectures: Sequence[Architecture]) -> list[dict[str, Any]]:
        """The same of each."""
        return [self(architecture) for architecture in architectures]


def _price(pricer: Pricer, architecture: Architecture) -> list[list[float]] | None:
    try:
        return pricer.alternatives(architecture)
    except RequestError:
        return None
