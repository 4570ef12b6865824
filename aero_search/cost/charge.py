"""What one operation costs under a protocol: its lowering, term by term."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from aero_search.cost.inventory import MATMUL_KINDS, Operation
from aero_search.cost.protocol import Measure, Primitive, Protocol


class Charge(NamedTuple):
    """Bytes in both directions, round trips on the critical path, seconds of compute."""

    bytes: float = 0.0
    rounds: float = 0.0
    seconds: float = 0.0

    def plus(self, other: Charge) -> Charge:
        return Charge(self.bytes + other.bytes, self.rounds + other.rounds, self.seconds + other.seconds)


class Use(NamedTuple):
    """`calls` independent calls of a primitive, each on `elements` elements, `depth` of them in sequence."""

    primitive: str
    calls: float
    elements: int
    depth: float


def charge(operation: Operation, protocol: Protocol) -> Charge:
    """Price one operation of an inventory.

    Raises:
        RequestError: the protocol does not say how to run an operation of this kind.
    """
    total = Charge()
    each_round = 0.0 if protocol.round_seconds is None else protocol.round_seconds.value
    for use in uses(operation, protocol):
        primitive = protocol.primitives[use.primitive]
        rounds = use.depth * call_rounds(primitive, use.elements)
        total = total.plus(
            Charge(
                bytes=use.calls * call_bytes(primitive, use.elements),
                rounds=rounds,
                seconds=use.calls * use.elements * primitive.seconds.value + rounds * each_round,
            )
        )
    return total


def uses(operation: Operation, protocol: Protocol) -> Iterator[Use]:
    """The calls of primitives that an operation is lowered to.

    Instances of an elementwise operation (heads) share one vector; each matrix product packs its own.
    """
    is_matmul = operation.kind in MATMUL_KINDS
    for term in protocol.lowering(operation.kind):
        measured = _measure(term.per, operation.shape, protocol.primitives[term.primitive].block)
        elements = measured if is_matmul else operation.count * measured
        if not elements or not term.times:
            continue
        depth = term.times if term.depth is None else term.depth
        if term.per == "reduction":
            depth *= math.ceil(math.log2(operation.shape[-1]))
        yield Use(term.primitive, term.times * (operation.count if is_matmul else 1), elements, depth)


def call_bytes(primitive: Primitive, elements: int) -> float:
    """Bytes of one call: padded to whole blocks, and of small calls no more than one of `small.below` costs."""
    small = primitive.small
    if small is not None and elements < small.below:
        return min(small.bytes.value * elements, primitive.bytes.value * _padded(primitive, small.below))
    return primitive.bytes.value * _padded(primitive, elements)


def call_rounds(primitive: Primitive, elements: int) -> float:
    """Round trips of one call: fewer where it finds a pool filled, in the mean over many calls."""
    small, whole = primitive.small, primitive.rounds.value
    if small is None or small.rounds is None or elements >= small.pool:
        return whole
    return small.rounds.value + (whole - small.rounds.value) * elements / small.pool


def packed_blocks(shape: tuple[int, ...], block: int) -> int:
    """Ciphertexts of the smaller operand of an (m, k) by (k, n) product, `block` coefficients each.

    One holds rows x width coefficients, width a power of two of at most k; the fewest ciphertexts are taken.
    """
    m, k, n = shape
    rows = min(m, n)
    widths = (1 << i for i in range(min(k, block).bit_length()))
    return min(math.ceil(rows / (block // width)) * math.ceil(k / width) for width in widths)


def _padded(primitive: Primitive, elements: int) -> int:
    lanes = primitive.lanes if elements > primitive.block else 1
    lane = math.ceil(elements / lanes)
    return lanes * math.ceil(lane / primitive.block) * primitive.block


def _measure(per: Measure, shape: tuple[int, ...], block: int) -> int:
    rows, columns = shape[0], shape[-1]
    match per:
        case "element" | "output":
            return rows * columns
        case "row":
            return rows
        case "reduction":
            return rows * (columns - 1)
        case "left":
            return rows * shape[1]
        case "right":
            return shape[1] * columns
        case "smaller":
            return min(rows * shape[1], shape[1] * columns)
        case "packed":
            return block * packed_blocks(shape, block)
        case "mac":
            return math.prod(shape)
