"""The price of an architecture under a protocol and a network: bytes, round trips and seconds, with parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aero_search.architecture import Architecture
from aero_search.cost.charge import Charge, charge
from aero_search.cost.flops import Flops, NonlinearOp, flops, nonlinear_operations
from aero_search.cost.inventory import PARTS
from aero_search.cost.money import LIST_PRICES, PriceList
from aero_search.cost.network import Network
from aero_search.cost.protocol import Protocol
from aero_search.cost.workload import PREFILL, Workload


@dataclass(frozen=True)
class CommunicationBytes:
    """Bytes in both directions.

    Attributes:
        total: of every query.
        by_op: by part of the model, only parts that run; sums to the total.
        by_layer: of each decoder layer; with `outside` (embedding, final norm, LM head) sums to the total.
        setup: once for a pair of parties, not in the total.
        offline: of every query's preprocessing where the total leaves it out, as far as it is known.
    """

    total: float
    by_op: Mapping[str, float]
    by_layer: tuple[float, ...]
    outside: float
    setup: float
    offline: float = 0.0


@dataclass(frozen=True)
class LatencySeconds:
    """Seconds.

    Attributes:
        total: of every query, compute + transfer + round_trips.
        compute: on the protocol's machine.
        transfer: bytes / bandwidth.
        round_trips: round trips x round-trip time.
        setup: once for a pair of parties (its own transfer included), not in the total.
        by_op: by part of the model; sums to the total.
        by_layer: of each decoder layer; with `outside` sums to the total.
        offline: of the preprocessing, its own transfer included, where the total leaves it out.
    """

    total: float
    compute: float
    transfer: float
    round_trips: float
    setup: float
    by_op: Mapping[str, float]
    by_layer: tuple[float, ...]
    outside: float
    offline: float = 0.0


@dataclass(frozen=True)
class Money:
    """US dollars.

    Attributes:
        total: of every query, egress + compute.
        egress: of the bytes that are sent.
        compute: of the machines of all parties while they compute; 0 where the protocol does not say them.
        prices: the price list's name.
    """

    total: float
    egress: float
    compute: float
    prices: str


@dataclass(frozen=True)
class Cost:
    """What one query costs; operations run one after another.

    Attributes:
        rounds: round trips on the critical path (one-way hops, halved).
        rounds_by_op: by part of the model; sums to `rounds`.
        flops: 2 x MACs by part, attention products counted in full.
        nonlinear_ops: count and (rows, columns) of each kind, such as softmax, layernorm, gelu.
    """

    communication_bytes: CommunicationBytes
    rounds: float
    rounds_by_op: Mapping[str, float]
    latency_seconds: LatencySeconds
    flops: Flops
    nonlinear_ops: Mapping[str, NonlinearOp]
    usd: Money


def estimate(
    architecture: Architecture,
    protocol: Protocol,
    network: Network,
    decode: bool = False,
    workload: Workload = PREFILL,
    prices: PriceList = LIST_PRICES,
) -> Cost:
    """Price one query of a workload, or with `decode` one token with a key-value cache of seq_len entries.

    latency = compute + bytes / bandwidth + round trips x round-trip time; set-up is paid once, shown apart.

    Raises:
        RequestError: the protocol does not say how to run one of the operations.
    """
    by_op: dict[str, Charge] = {}
    by_layer = [Charge()] * architecture.n_layer
    outside = Charge()
    for first, operation in workload.operations(architecture, decode):
        price = charge(operation, protocol)
        if not first:
            price = price._replace(once=0.0)
        by_op[operation.part] = by_op.get(operation.part, Charge()).plus(price)
        if operation.layer is None:
            outside = outside.plus(price)
        else:
            by_layer[operation.layer] = by_layer[operation.layer].plus(price)
    ordered: dict[str, Charge] = {part: by_op[part] for part in PARTS if part in by_op}
    total = Charge()
    for price in ordered.values():
        total = total.plus(price)
    transfer = total.bytes / network.bytes_per_second
    round_trips = total.rounds * network.rtt_seconds
    setup = Charge(protocol.setup.bytes.value + total.once, 0.0, protocol.setup.seconds.value)
    offline = Charge(total.offline_bytes, 0.0, total.offline_seconds)
    return Cost(
        communication_bytes=CommunicationBytes(
            total=total.bytes,
            by_op={part: price.bytes for part, price in ordered.items()},
            by_layer=tuple(price.bytes for price in by_layer),
            outside=outside.bytes,
            setup=setup.bytes,
            offline=offline.bytes,
        ),
        rounds=total.rounds,
        rounds_by_op={part: price.rounds for part, price in ordered.items()},
        latency_seconds=LatencySeconds(
            total=total.seconds + transfer + round_trips,
            compute=total.seconds,
            transfer=transfer,
            round_trips=round_trips,
            setup=seconds(setup, network),
            by_op={part: seconds(price, network) for part, price in ordered.items()},
            by_layer=tuple(seconds(price, network) for price in by_layer),
            outside=seconds(outside, network),
            offline=seconds(offline, network),
        ),
        flops=flops(architecture, decode=decode, workload=workload),
        nonlinear_ops=nonlinear_operations(architecture, decode, workload),
        usd=Money(
            total=prices.usd(protocol, total.bytes, total.seconds),
            egress=prices.egress(total.bytes),
            compute=total.seconds * prices.a_second(protocol),
            prices=prices.name,
        ),
    )


def seconds(price: Charge, network: Network) -> float:
    """Latency of a charge: compute, transfer and round trips."""
    return price.seconds + price.bytes / network.bytes_per_second + price.rounds * network.rtt_seconds
