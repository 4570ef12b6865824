"""What one operation costs under a protocol: its lowering, term by term."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from aero_search.cost.inventory import MATMUL_KINDS, Operation
from aero_search.cost.protocol import Constant, Measure, Primitive, Protocol


class Charge(NamedTuple):
    """Bytes in both directions, round trips on the critical path, seconds of compute.

    `offline_bytes` and `offline_seconds` are what a query's preprocessing sends and computes, `once` bytes that are
    sent once for a pair of parties; none of them is in the others.
    """

    bytes: float = 0.0
    rounds: float = 0.0
    seconds: float = 0.0
    offline_bytes: float = 0.0
    offline_seconds: float = 0.0
    once: float = 0.0

    def plus(self, other: Charge) -> Charge:
        return Charge(
            self.bytes + other.bytes,
            self.rounds + other.rounds,
            self.seconds + other.seconds,
            self.offline_bytes + other.offline_bytes,
            self.offline_seconds + other.offline_seconds,
            self.once + other.once,
        )

    def times(self, count: float) -> Charge:
        """`count` of them one after another; what is sent once is sent once."""
        return Charge(
            count * self.bytes,
            count * self.rounds,
            count * self.seconds,
            count * self.offline_bytes,
            count * self.offline_seconds,
            self.once,
        )


class Use(NamedTuple):
    """`calls` independent calls of a primitive, each on `elements` elements, `depth` of them in sequence.

    `single` says that they are of a matrix product that fits one block of the primitive.
    """

    primitive: str
    calls: float
    elements: int
    depth: float
    single: bool = False


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
        elements = use.calls * use.elements
        sent = use.calls * call_bytes(primitive, use.elements, use.single)
        if protocol.ring is not None and primitive.per_bit is not None:
            sent += protocol.extra_bits * primitive.per_bit.value * elements
        total = total.plus(
            Charge(
                bytes=max(sent, 0.0),
                rounds=rounds,
                seconds=elements * primitive.seconds.value + rounds * each_round,
                offline_bytes=elements * _value(primitive.offline),
                offline_seconds=elements * _value(primitive.offline_seconds),
                once=elements * _value(primitive.once),
            )
        )
    return total


def _value(constant: Constant | None) -> float:
    return 0.0 if constant is None else constant.value


def uses(operation: Operation, protocol: Protocol) -> Iterator[Use]:
    """The calls of primitives that an operation is lowered to.

    Instances of an elementwise operation (heads) share one vector; each matrix product packs its own.
    """
    is_matmul = operation.kind in MATMUL_KINDS
    for term in protocol.lowering_of(operation):
        measured = _measure(term.per, operation, protocol.primitives[term.primitive].block)
        elements = measured if is_matmul else operation.count * measured
        if not elements or not term.times:
            continue
        depth = term.times if term.depth is None else term.depth
        if term.per == "reduction":
            depth *= math.ceil(math.log2(operation.shape[-1]))
        calls = term.times * (operation.count if is_matmul else 1)
        single = is_matmul and math.prod(operation.shape) <= protocol.primitives[term.primitive].block
        yield Use(term.primitive, calls, elements, depth, single)


def call_bytes(primitive: Primitive, elements: int, single: bool = False) -> float:
    """Bytes of one call: padded to whole blocks, and of small calls no more than one of `small.below` costs.

    Args:
        single: of a matrix product that fits one block.
    """
    if single and primitive.single is not None:
        apart = primitive.bytes.value * primitive.block / 2 + primitive.single.value * elements
        return min(apart, primitive.bytes.value * _padded(primitive, elements))
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

    One holds rows x width coefficients, width a power of two of at most k; the fewest ciphertexts are taken. Where
    all of it fits one with at most two of results, it is one whatever k is, as read under SPU 0.9.5.
    """
    m, k, n = shape
    rows = min(m, n)
    columns = block // (rows << (k - 1).bit_length())
    if m * k * n <= block or 2 * columns >= max(m, n):
        return 1
    widths = (1 << i for i in range(min(k, block).bit_length()))
    return min(math.ceil(rows / (block // width)) * math.ceil(k / width) for width in widths)


def _lengths(rows: int, columns: int, causal: bool) -> Sequence[int]:
    """How many scores each row has: all columns, or under a causal mask those up to its own query."""
    return range(columns - rows + 1, columns + 1) if causal else [columns] * rows


@cache
def _leftover(rows: int, columns: int, causal: bool) -> int:
    return sum(_leftover_of(length) for length in _lengths(rows, columns, causal))


@cache
def _leftover_of(length: int) -> int:
    """Comparisons of a maximum by pairs, an odd one out compared too, beyond length - 1."""
    made, left = 0, length
    while left > 1:
        left = (left + 1) // 2
        made += left
    return made - (length - 1)


def windowed_blocks(shape: tuple[int, ...], block: int) -> int:
    """Ciphertexts of the operand and of the result of an (m, k) by (k, n) product as Iron packs them.

    A window of m' x k' x n' of at most `block` coefficients is one product of polynomials; it takes one ciphertext
    for each m' x k' part of the operand and one for each m' x n' part of the result. The fewest in all are taken.
    Source: Iron (NeurIPS 2022), section 3; windows here are powers of two.
    """
    m, k, n = shape
    best = math.inf
    for i in range(min(m, block).bit_length()):
        for j in range(min(k, block >> i).bit_length()):
            rows, width = 1 << i, 1 << j
            out = block // (rows * width)
            best = min(best, math.ceil(m / rows) * (math.ceil(k / width) + math.ceil(n / out)))
    return int(best)


def _padded(primitive: Primitive, elements: int) -> int:
    lanes = primitive.lanes if elements > primitive.block else 1
    lane = math.ceil(elements / lanes)
    return lanes * math.ceil(lane / primitive.block) * primitive.block


def _measure(per: Measure, operation: Operation, block: int) -> int:
    shape = operation.shape
    rows, columns = shape[0], shape[-1]
    match per:
        case "score":
            return sum(_lengths(rows, columns, operation.causal))
        case "leftover":
            return _leftover(rows, columns, operation.causal)
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
        case "windowed":
            return block * windowed_blocks(shape, block)
        case "mac":
            return math.prod(shape)
