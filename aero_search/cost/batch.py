"""Many architectures priced at once, as a search needs them: each distinct layer once, then sums.

The price of a layer depends on the layer and on the sizes every layer shares, never on its neighbours; so a
`Pricer` keeps the price of each it has seen and adds them up. It equals `estimate` and `flops` up to the
order of floating-point sums.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aero_search.architecture import Architecture, Layer
from aero_search.cost.charge import charge
from aero_search.cost.inventory import Operation
from aero_search.cost.money import LIST_PRICES, PriceList
from aero_search.cost.network import Network
from aero_search.cost.protocol import Protocol
from aero_search.cost.workload import PREFILL, Workload

_Row = tuple[float, float, float, float]  # bytes, round trips, compute seconds, FLOPs


@dataclass(frozen=True)
class Prices:
    """Prices of N architectures, each an array of shape [N].

    Attributes:
        communication_bytes: both directions.
        rounds: round trips on the critical path.
        latency_seconds: compute + transfer + round trips, without set-up.
        compute_seconds: its compute alone.
        flops: 2 x MACs, attention products in full, embedding lookup free.
        usd: US dollars of bytes and compute.
    """

    communication_bytes: NDArray[np.float64]
    rounds: NDArray[np.float64]
    latency_seconds: NDArray[np.float64]
    compute_seconds: NDArray[np.float64]
    flops: NDArray[np.float64]
    usd: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.flops)


class Pricer:
    """Prices architectures under one protocol, network and workload, remembering every distinct layer."""

    def __init__(
        self,
        protocol: Protocol,
        network: Network,
        workload: Workload = PREFILL,
        prices: PriceList = LIST_PRICES,
    ) -> None:
        self._prices = prices
        self._protocol = protocol
        self._network = network
        self._workload = workload
        self._layers: dict[object, dict[Layer, _Row]] = {}
        self._outside: dict[object, _Row] = {}

    def price(self, architectures: Sequence[Architecture]) -> Prices:
        """Price a batch.

        Raises:
            RequestError: the protocol does not say how to run one of the operations.
        """
        rows = np.array([self._row(a) for a in architectures], dtype=np.float64).reshape(
            len(architectures), 4
        )
        sent, rounds, compute, flops = rows.T
        latency = compute + sent / self._network.bytes_per_second + rounds * self._network.rtt_seconds
        usd = self._prices.usd(self._protocol, sent, compute)
        return Prices(sent, rounds, latency, compute, flops, usd)

    def _row(self, a: Architecture) -> _Row:
        widths = (a.n_head, a.n_kv_head, a.d_model, a.ffn_ratio, a.ffn_rank)
        sizes = (a.family, *widths, a.seq_len, a.vocab_size, a.gated)
        attention = a.attention
        shared = (
            sizes,
            attention.value_projection,
            attention.shaped,
            attention.temperature,
            attention.softmax_heads,
            attention.qk_norm,
        )
        known = self._layers.setdefault(shared, {})
        ends = (shared, a.final_norm)
        passes = self._workload.passes(a.seq_len)
        if ends not in self._outside:
            self._outside[ends] = self._sum(o for step in passes for o in self._workload.outside(a, step))
        sent, rounds, compute, flops = self._outside[ends]
        for layer, count in Counter(a.layers).items():
            if layer not in known:
                known[layer] = self._sum(o for step in passes for o in self._workload.layer(a, layer, step))
            row = known[layer]
            sent += count * row[0]
            rounds += count * row[1]
            compute += count * row[2]
            flops += count * row[3]
        return sent, rounds, compute, flops

    def _sum(self, operations: Iterable[Operation]) -> _Row:
        sent = rounds = compute = flops = 0.0
        for operation in operations:
            price = charge(operation, self._protocol)
            sent += price.bytes
            rounds += price.rounds
            compute += price.seconds
            flops += 0.0 if operation.part == "embedding" else 2.0 * operation.macs
        return sent, rounds, compute, flops


def price_batch(
    architectures: Sequence[Architecture],
    protocol: Protocol,
    network: Network,
    workload: Workload = PREFILL,
    prices: PriceList = LIST_PRICES,
) -> Prices:
    """Price architectures once; keep a `Pricer` where batches follow one another."""
    return Pricer(protocol, network, workload, prices).price(architectures)
