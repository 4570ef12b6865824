"""What was published or read of private-inference systems (data/systems.csv), beside what their files predict."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

from aero_search.architecture import Architecture, Layer
from aero_search.cost.charge import Charge, charge
from aero_search.cost.inventory import Operation, inventory
from aero_search.cost.network import Network
from aero_search.cost.protocol import Protocol, Ring, Term

Split = Literal["calibrate", "validate", "contradicts"]
Quantity = Literal["bytes", "offline_bytes", "rounds", "seconds"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
# layers, heads, d_model, vocabulary, of published models; all with layer norms, GELU and d_ff = 4 d_model.
_MODELS: Mapping[str, tuple[int, int, int, int]] = {
    "bert-base": (12, 12, 768, 30522),
    "bert-large": (24, 16, 1024, 30522),
    "gpt2": (12, 12, 768, 50257),
    "gpt-neo-1.3B": (24, 16, 2048, 50257),
}


@dataclass(frozen=True, slots=True)
class SystemRow:
    """One reading of one system.

    Attributes:
        system: the protocol file's name.
        what: an operation kind, lowering or primitive of that file, or a model and a part of it.
        shape: of one instance; of a model its tokens.
        count: instances at once.
        calls: times one after another.
        causal: a mask hides what follows each query.
        bits: width of the ring; None where the source does not say.
        bytes: of all parties; offline_bytes those of the preprocessing.
        rounds: round trips, one-way hops halved.
        seconds: with transfer over `network` where there is one, else on one host.
        split: `calibrate` (a fit may use it), `validate` (it may not), `contradicts` (other rows: see `note`).
    """

    system: str
    what: str
    shape: tuple[int, ...]
    count: int
    calls: int
    causal: bool
    bits: int | None
    bytes: float | None
    offline_bytes: float | None
    rounds: float | None
    seconds: float | None
    network: Network | None
    split: Split
    note: str
    source: str

    @property
    def label(self) -> str:
        shape = "x".join(map(str, self.shape))
        if len(self.shape) == 1:
            return f"{self.what}, {shape} tokens"
        heads = "" if self.count == 1 else f"{self.count} of "
        return f"{self.what} {heads}{shape}" + ("" if self.calls == 1 else f", {self.calls} times")

    def read(self, quantity: Quantity) -> float | None:
        found: float | None = getattr(self, quantity)
        return found


@dataclass(frozen=True, slots=True)
class SystemComparison:
    """One quantity of one row, read and predicted; `error` is predicted / read - 1."""

    row: SystemRow
    quantity: Quantity
    read: float
    predicted: float

    @property
    def error(self) -> float:
        return self.predicted / self.read - 1


@cache
def system_rows() -> tuple[SystemRow, ...]:
    """Every row, in the order of the file."""
    text = (files("aero_search.cost") / "data" / "systems.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(_row(said) for said in csv.DictReader(lines))


def row_operations(row: SystemRow, protocol: Protocol) -> tuple[tuple[Operation, ...], Protocol]:
    """What a row ran, and the protocol under which that is priced (its ring; a lowering on its own).

    Raises:
        RequestError: the protocol does not say how to run one of them.
    """
    if row.bits is not None and protocol.ring is not None and protocol.any_ring:
        protocol = replace(protocol, ring=Ring(row.bits, protocol.ring.read_bits))
    if len(row.shape) == 1:
        return tuple(_model_operations(row)), protocol
    matmul = len(row.shape) == 3
    kind, _, name = row.what.partition("_") if row.what.startswith("matmul_") else (row.what, "", "row")
    if row.what in protocol.lowerings or row.what in protocol.primitives:
        terms = protocol.lowerings.get(row.what, (Term(row.what, "output" if matmul else "element"),))
        kind = "matmul" if matmul else "multiply"
        protocol = replace(protocol, lowerings={"row": terms}, use={kind: "row"})
    return (Operation("activation", name, kind, row.shape, row.count, causal=row.causal),), protocol


def predict(row: SystemRow, protocol: Protocol) -> Mapping[Quantity, float]:
    """What the protocol says of each quantity of a row.

    Raises:
        RequestError: the protocol does not say how to run one of its operations.
    """
    operations, priced = row_operations(row, protocol)
    total = Charge()
    for operation in operations:
        total = total.plus(charge(operation, priced))
    total = total.times(row.calls)
    seconds = total.seconds
    if row.network is not None:
        seconds += total.bytes / row.network.bytes_per_second + total.rounds * row.network.rtt_seconds
    return {
        "bytes": total.bytes,
        "offline_bytes": total.offline_bytes,
        "rounds": total.rounds,
        "seconds": seconds,
    }


def compare_system(protocol: Protocol) -> tuple[SystemComparison, ...]:
    """Every reading of the system that this protocol is named after, beside its prediction."""
    found: list[SystemComparison] = []
    for row in system_rows():
        if row.system == protocol.name:
            predicted = predict(row, protocol)
            found += [
                SystemComparison(row, quantity, read, predicted[quantity])
                for quantity in QUANTITIES
                if (read := row.read(quantity)) is not None
            ]
    return tuple(found)


def _model_operations(row: SystemRow) -> Iterator[Operation]:
    """A published model's: `blocks` alone, `encoder` with its embedding, `answer` with one token's logits too."""
    model, part = row.what.split(" ")
    n_layer, n_head, d_model, vocab_size = _MODELS[model]
    architecture = Architecture(
        n_head=n_head,
        d_model=d_model,
        seq_len=row.shape[0],
        vocab_size=vocab_size,
        layers=(Layer(),) * n_layer,
    )
    for operation in inventory(architecture):
        if operation.layer is None and (
            part == "blocks" or (part == "encoder" and operation.part == "lm_head")
        ):
            continue
        if operation.part == "lm_head":
            operation = replace(operation, shape=(1, *operation.shape[1:]))
        yield replace(operation, causal=row.causal and operation.causal)


def _row(said: Mapping[str, str]) -> SystemRow:
    def number(field: str) -> float | None:
        return float(said[field]) if said[field] else None

    mbps, rtt = number("mbps"), number("rtt_ms")
    split = said["split"]
    assert split in get_args(Split), f"systems.csv has the split {split}"
    return SystemRow(
        system=said["system"],
        what=said["what"],
        shape=tuple(map(int, said["shape"].split("x"))),
        count=int(said["count"]),
        calls=int(said["calls"]),
        causal=said["causal"] == "1",
        bits=int(said["bits"]) if said["bits"] else None,
        bytes=number("bytes"),
        offline_bytes=number("offline_bytes"),
        rounds=number("rounds"),
        seconds=number("seconds"),
        network=None if mbps is None else Network("published", mbps, rtt or 0.0),
        split=split,  # type: ignore[arg-type]  # one of Split's by the assertion
        note=said["note"],
        source=said["source"],
    )


def systems() -> tuple[str, ...]:
    """The protocol files that have rows, in the order of the data."""
    return tuple(dict.fromkeys(row.system for row in system_rows()))
