"""The JSON document that `aero-search cost format=json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aero_search.architecture import Architecture, key, notation
from aero_search.cost.estimate import estimate
from aero_search.cost.flops import Convention, flops
from aero_search.cost.money import LIST_PRICES, PriceList
from aero_search.cost.network import Network
from aero_search.cost.protocol import Protocol
from aero_search.cost.published import Comparison, published_differences
from aero_search.cost.systems import SystemComparison
from aero_search.cost.workload import PREFILL, Workload
from aero_search.schema import to_mapping


def cost_document(
    architecture: Architecture,
    protocol: Protocol,
    network: Network,
    convention: Convention = "full",
    decode: bool = False,
    workload: Workload = PREFILL,
    prices: PriceList = LIST_PRICES,
) -> dict[str, Any]:
    """Everything that is known of an architecture's cost, as dicts, lists, text and numbers.

    Returns:
        notation, key, architecture, flops{ffn, attention, embedding, lm_head, total, ...} in FLOPs
        (2 x MACs), nonlinear_ops{kind: {count, shape}}, protocol and network by name,
        communication_bytes{total, by_op, ...}, rounds (round trips),
        latency_seconds{total, compute, transfer, round_trips, setup, ...}; set-up is in no total;
        usd{total, egress, compute, prices} in US dollars.

    Raises:
        RequestError: the protocol does not say how to run one of the operations.
    """
    cost = estimate(architecture, protocol, network, decode, workload, prices)
    document: dict[str, Any] = {
        "notation": notation(architecture),
        "key": key(architecture),
        "architecture": architecture,
        "pass": "decode" if decode else "query" if workload != PREFILL else "forward",
        "workload": workload,
        "flops": flops(architecture, convention, decode, workload),
        "flops_convention": convention,
        "nonlinear_ops": cost.nonlinear_ops,
        "protocol": protocol.name,
        "trust": protocol.trust,
        "offline": protocol.offline,
        "network": network.name,
        "bandwidth_mbps": network.bandwidth_mbps,
        "rtt_ms": network.rtt_ms,
        "communication_bytes": cost.communication_bytes,
        "rounds": cost.rounds,
        "rounds_by_op": cost.rounds_by_op,
        "latency_seconds": cost.latency_seconds,
        "usd": cost.usd,
    }
    plain: dict[str, Any] = to_mapping(document)
    return plain


def published_document(comparisons: tuple[Comparison, ...]) -> dict[str, Any]:
    """AERO's rows and what a protocol predicts for them; errors are predicted / published - 1."""
    return {
        "rows": [
            {
                "dataset": c.row.dataset,
                "variant": c.row.variant,
                "n_layer": c.row.n_layer,
                "seq_len": c.row.seq_len,
                "ffn_layers": c.row.ffn_layers,
                "split": c.row.split,
                "comm_gb": {"published": c.row.comm_gb, "predicted": c.comm_gb, "error": c.comm_error},
                "latency_min": {
                    "published": c.row.latency_min,
                    "predicted": c.latency_min,
                    "error": c.latency_error,
                },
            }
            for c in comparisons
        ],
        "differences_gb": [
            {
                "before": d.before.variant,
                "after": d.after.variant,
                "n_layer": d.before.n_layer,
                "seq_len": d.before.seq_len,
                "published": d.published_gb,
                "predicted": d.predicted_gb,
                "error": d.error,
            }
            for d in published_differences(comparisons)
        ],
    }


def systems_document(compared: Sequence[tuple[Protocol, Sequence[SystemComparison]]]) -> dict[str, Any]:
    """What was read of each system and what its file predicts; errors are predicted / read - 1."""
    return {
        protocol.name: {
            "trust": protocol.trust,
            "offline": protocol.offline,
            "rows": [
                {
                    "what": c.row.label,
                    "quantity": c.quantity,
                    "read": c.read,
                    "predicted": c.predicted,
                    "error": c.error,
                    "split": c.row.split,
                    "note": c.row.note,
                    "source": c.row.source,
                }
                for c in comparisons
            ],
        }
        for protocol, comparisons in compared
    }
