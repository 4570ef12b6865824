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
from aero_search.cost.lowerings import NO_LOWERINGS, Lowerings
from aero_search.cost.money import LIST_PRICES, PriceList
from aero_search.cost.network import Network
from aero_search.cost.protocol import Protocol
from aero_search.cost.workload import PREFILL, Workload

_Row = tuple[float, float, float, float]  # bytes, round trips, compute seconds, FLOPs
_Use = tuple[tuple[str, str], ...]


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
    """Prices architectures under one protocol, network and workload, remembering every distinct layer.

    Args:
        lowerings: of which each architecture takes the cheapest; those that the protocol has.
    """

    def __init__(
        self,
        protocol: Protocol,
        network: Network,
        workload: Workload = PREFILL,
        prices: PriceList = LIST_PRICES,
        lowerings: Lowerings = NO_LOWERINGS,
    ) -> None:
        self._prices = prices
        self._protocol = protocol
        self._network = network
        self._workload = workload
        self._choices = lowerings.known_to(protocol)
        self._by = lowerings.by
        self._under: dict[_Use, _Rows] = {}

    def price(self, architectures: Sequence[Architecture]) -> Prices:
        """Price a batch.

        Raises:
            RequestError: the protocol does not say how to run one of the operations.
        """
        rows = [self._rows(self._cheapest(a)).row(a) for a in architectures]
        return self._priced(np.array(rows, dtype=np.float64).reshape(len(architectures), 4))

    def protocol_of(self, a: Architecture) -> Protocol:
        """The protocol with the lowerings that an architecture takes."""
        return self._rows(self._cheapest(a)).protocol

    def use(self, a: Architecture) -> dict[str, str]:
        """The lowerings that an architecture takes, where there is a choice for an operation that it has."""
        use = self._cheapest(a)
        if not use:
            return {}
        operations = self._workload.operations(a)
        has = {entry for _, o in operations for entry in self._protocol.entries_of(o)}
        return {entry: name for entry, name in use if entry in has}

    def alternatives(self, a: Architecture) -> list[list[float]]:
        """[bytes, round trips, compute seconds] under every lowering that may be the cheapest on some network."""
        uses = [{entry: names[0] for entry, names in self._choices.items()}]
        rows = [self._rows(tuple(uses[0].items())).row(a)]
        for entry, names in self._choices.items():
            longer = [{**use, entry: name} for use in uses for name in names]
            rows = [self._rows(tuple(use.items())).row(a) for use in longer]
            kept = undominated(np.array(rows, dtype=np.float64))
            uses, rows = [longer[i] for i in kept], [rows[i] for i in kept]
        return [list(row[:3]) for row in rows]

    def _cheapest(self, a: Architecture) -> _Use:
        if not self._choices:
            return ()
        first = {entry: names[0] for entry, names in self._choices.items()}
        best = {}
        for entry, names in self._choices.items():
            rows = [self._rows(tuple({**first, entry: name}.items())).row(a) for name in names]
            prices = self._priced(np.array(rows, dtype=np.float64))
            metrics = {
                "latency_s": prices.latency_seconds,
                "communication_bytes": prices.communication_bytes,
                "rounds": prices.rounds,
                "flops": prices.flops,
                "usd": prices.usd,
            }
            order = [metrics[self._by], *(metrics[m] for m in ("latency_s", "communication_bytes", "rounds"))]
            best[entry] = names[min(range(len(names)), key=lambda i: [column[i] for column in order])]
        return tuple(best.items())

    def _rows(self, use: _Use) -> _Rows:
        if use not in self._under:
            self._under[use] = _Rows(self._protocol.with_use(dict(use)), self._workload)
        return self._under[use]

    def _priced(self, rows: NDArray[np.float64]) -> Prices:
        sent, rounds, compute, flops = rows.T
        latency = compute + sent / self._network.bytes_per_second + rounds * self._network.rtt_seconds
        usd = self._prices.usd(self._protocol, sent, compute)
        return Prices(sent, rounds, latency, compute, flops, usd)


def undominated(rows: NDArray[np.float64]) -> list[int]:
    """The rows of (n, m) that no other is at most as large as in every column; of equal ones the first."""
    kept: list[int] = []
    for i, row in enumerate(rows):
        better = (rows <= row).all(axis=1)
        better &= (rows < row).any(axis=1) | (np.arange(len(rows)) < i)
        if not better.any():
            kept.append(i)
    return kept


class _Rows:
    """The sums under one protocol, with the layers that were seen."""

    def __init__(self, protocol: Protocol, workload: Workload) -> None:
        self.protocol = protocol
        self._workload = workload
        self._layers: dict[object, dict[Layer, _Row]] = {}
        self._outside: dict[object, _Row] = {}
        # FLOPs of public layers, which cost nothing else.
        self._clear: dict[object, dict[Layer, float]] = {}

    def row(self, a: Architecture) -> _Row:
        widths = (a.n_head, a.n_kv_head, a.d_model, a.ffn_ratio, a.ffn_rank)
        sizes = (a.wiring, *widths, a.seq_len, a.vocab_size, a.gated)
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
        ends = (shared, a.final_norm, bool(a.public_layers))
        passes = self._workload.passes(a.seq_len)
        if ends not in self._outside:
            self._outside[ends] = self._sum(o for step in passes for o in self._workload.outside(a, step))
        sent, rounds, compute, flops = self._outside[ends]
        for layer, count in Counter(a.private_layers).items():
            if layer not in known:
                known[layer] = self._sum(o for step in passes for o in self._workload.layer(a, layer, step))
            row = known[layer]
            sent += count * row[0]
            rounds += count * row[1]
            compute += count * row[2]
            flops += count * row[3]
        clear = self._clear.setdefault(shared, {})
        for layer, count in Counter(a.layers[: a.public_layers]).items():
            if layer not in clear:
                clear[layer] = sum(_flops(o) for step in passes for o in self._workload.layer(a, layer, step))
            flops += count * clear[layer]
        return sent, rounds, compute, flops

    def _sum(self, operations: Iterable[Operation]) -> _Row:
        sent = rounds = compute = flops = 0.0
        for operation in operations:
            price = charge(operation, self.protocol)
            sent += price.bytes
            rounds += price.rounds
            compute += price.seconds
            flops += _flops(operation)
        return sent, rounds, compute, flops


def _flops(operation: Operation) -> float:
    """Those of an operation; a lookup in the clear multiplies nothing."""
    return 0.0 if operation.part == "embedding" else 2.0 * operation.macs


def price_batch(
    architectures: Sequence[Architecture],
    protocol: Protocol,
    network: Network,
    workload: Workload = PREFILL,
    prices: PriceList = LIST_PRICES,
) -> Prices:
    """Price architectures once; keep a `Pricer` where batches follow one another."""
    return Pricer(protocol, network, workload, prices).price(architectures)
