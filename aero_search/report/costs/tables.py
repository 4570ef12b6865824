"""Tables of a cost: by part and by layer, of several networks, and the what-if block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aero_search.cost import (
    PARTS,
    PREFILL,
    TRUST,
    Change,
    Cost,
    Network,
    Protocol,
    Workload,
)
from aero_search.report.table import Sheet, sheet
from aero_search.report.units import compact, readable

if TYPE_CHECKING:
    from rich.console import Group

PART_LABELS: dict[str, str] = {part: part.replace("_", " ").replace("lm head", "LM head") for part in PARTS}


def format_bytes(count: float) -> str:
    """Write bytes with three or four digits, in powers of 1000: `25.32 GB`, `615.0 MB`."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= size:
            return f"{count / size:.2f} {unit}" if unit == "GB" else f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def format_seconds(value: float) -> str:
    """Write seconds, from two minutes on as minutes: `95.2 s`, `8.21 min`."""
    return f"{value / 60:.2f} min" if abs(value) >= 120 else f"{value:.3g} s"


def parts_table(cost: Cost) -> Sheet:
    """Bytes, round trips and seconds by part of the model, each with its share, dearest first."""
    sent, latency = cost.communication_bytes, cost.latency_seconds
    rows = [
        (
            PART_LABELS[part],
            format_bytes(sent.by_op[part]),
            _share(sent.by_op[part], sent.total),
            f"{cost.rounds_by_op[part]:,.0f}",
            format_seconds(latency.by_op[part]),
            _share(latency.by_op[part], latency.total),
        )
        for part in sorted(sent.by_op, key=lambda name: -latency.by_op[name])
    ]
    total = ("total", format_bytes(sent.total), "", f"{cost.rounds:,.0f}", format_seconds(latency.total), "")
    return sheet(
        ("part", "bytes", "share", "round trips", "seconds", "share"),
        [*rows, total],
        "by part",
        sections=(len(rows),),
        styles=(*[None] * len(rows), "bold"),
    )


def layers_table(cost: Cost) -> Sheet:
    """Bytes and seconds by decoder layer, equal neighbours on one line, and what lies outside the layers."""
    sent, latency = cost.communication_bytes, cost.latency_seconds
    rows = []
    first = 0
    for i, size in enumerate(sent.by_layer):
        if i + 1 < len(sent.by_layer) and sent.by_layer[i + 1] == size:
            continue
        name = str(i) if i == first else f"{first} to {i}"
        share = sum(latency.by_layer[first : i + 1])
        rows.append(
            (name, format_bytes(size), format_seconds(latency.by_layer[i]), _share(share, latency.total))
        )
        first = i + 1
    outside = (
        "embedding, final norm, LM head",
        format_bytes(sent.outside),
        format_seconds(latency.outside),
        _share(latency.outside, latency.total),
    )
    return sheet(("layer", "bytes each", "seconds each", "share"), [*rows, outside], "by layer")


def dominating(cost: Cost) -> str:
    """One sentence: which part dominates bytes and latency, and what the latency is spent on."""
    sent, latency = cost.communication_bytes, cost.latency_seconds
    dearest = max(sent.by_op, key=lambda name: sent.by_op[name])
    slowest = max(latency.by_op, key=lambda name: latency.by_op[name])
    causes = {"compute": latency.compute, "transfer": latency.transfer, "round trips": latency.round_trips}
    cause = max(causes, key=lambda name: causes[name])
    also = " and" if slowest == dearest else f", {PART_LABELS[slowest]}"
    return (
        f"{PART_LABELS[dearest]} dominates the bytes ({_share(sent.by_op[dearest], sent.total)}){also} "
        f"the latency ({_share(latency.by_op[slowest], latency.total)}); the largest share of that is {cause} "
        f"({_share(causes[cause], latency.total)})."
    )


def cost_report(
    name: str,
    cost: Cost,
    protocol: Protocol,
    network: Network,
    changes: Sequence[Change] = (),
    workload: Workload = PREFILL,
) -> Group:
    """Everything `aero-search cost` prints of one architecture."""
    from rich.console import Group, RenderableType
    from rich.text import Text

    latency = cost.latency_seconds
    head = (
        f"{name}\nprotocol {protocol.name} ({protocol.title}; {TRUST[protocol.trust]})\n"
        f"network {network.name} ({network.bandwidth_mbps:g} Mbps, {network.rtt_ms:g} ms)\n"
        f"{format_bytes(cost.communication_bytes.total)}, {cost.rounds:,.0f} round trips, "
        f"{format_seconds(latency.total)} = {format_seconds(latency.compute)} compute "
        f"+ {format_seconds(latency.transfer)} transfer + {format_seconds(latency.round_trips)} round trips\n"
        f"set-up, once: {format_bytes(cost.communication_bytes.setup)}, {format_seconds(latency.setup)}"
    )
    head += f"\n{_money(cost, protocol)}"
    if workload != PREFILL:
        head += f"\nworkload {workload.text}"
    if cost.communication_bytes.offline:
        sent = format_bytes(cost.communication_bytes.offline)
        head += f"\npreprocessing, beside it: {sent} by the {protocol.payer} (offline=include counts it)"
    parts: list[RenderableType] = [Text(head), parts_table(cost), layers_table(cost), Text(dominating(cost))]
    if protocol.offline == "omitted":
        parts.append(
            Text("This protocol leaves out its offline phase: compare it with other online phases only.")
        )
    if changes:
        parts.append(changes_table(changes))
    return Group(*parts)


def _money(cost: Cost, protocol: Protocol) -> str:
    """What a query costs, with its parts."""
    usd = cost.usd
    machines = (
        f"{readable('usd', usd.compute)} compute"
        if protocol.cores or protocol.gpus
        else "compute unknown: the protocol names no cores"
    )
    return f"{readable('usd', usd.total)} = {readable('usd', usd.egress)} egress + {machines} (price={usd.prices})"


def variants_table(costs: Sequence[tuple[str, Cost]]) -> Sheet:
    """Several variants side by side, with what each saves against the first."""
    rows = []
    for name, cost in costs:
        first = costs[0][1]
        sent, latency = cost.communication_bytes.total, cost.latency_seconds.total
        rows.append(
            (
                compact(name),
                format_bytes(sent),
                _times(first.communication_bytes.total, sent),
                f"{cost.rounds:,.0f}",
                format_seconds(latency),
                _times(first.latency_seconds.total, latency),
            )
        )
    title = f"savings against {costs[0][0]}" if costs else ""
    return sheet(("variant", "bytes", "saved", "round trips", "latency", "saved"), rows, title)


def changes_table(changes: Sequence[Change]) -> Sheet:
    """The what-if block: single changes with what each saves."""
    rows = [
        (
            change.description,
            format_bytes(change.bytes_saved),
            format_seconds(change.seconds_saved),
            f"{change.rounds_saved:,.0f}",
        )
        for change in changes
    ]
    return sheet(("change", "bytes", "seconds", "round trips"), rows, "what one change saves")


def _share(part: float, total: float) -> str:
    return f"{part / total:.1%}" if total else "0.0%"


def _times(before: float, after: float) -> str:
    return f"{before / after:.2f}x" if after else "-"
