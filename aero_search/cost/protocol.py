"""A protocol as data: what each primitive costs, and how each operation is built from primitives.

`conf/protocol/*.yaml` are such files; docs/protocols.md says how to write one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from aero_search.architecture.operations import operation_card
from aero_search.cost.entries import PRODUCTS, WEIGHTED, all_entries, is_entry, plain_entry
from aero_search.cost.inventory import MATMUL_KINDS, Operation
from aero_search.cost.trust import trust_word
from aero_search.errors import RequestError, nearest

Measure = Literal[
    "element",
    "score",
    "row",
    "reduction",
    "leftover",
    "left",
    "right",
    "smaller",
    "packed",
    "windowed",
    "output",
    "mac",
]
"""What a primitive is charged by.

Of (rows, columns) operations: `element` rows x columns, `score` those of them that a causal mask leaves (of T x T
scores T(T+1)/2; all where there is no mask), `row` rows, `reduction` rows x (columns - 1), the comparisons of a
maximum, `leftover` those that a maximum by pairs makes beyond them where scores are left over (none for 2^n).
Of (m, k) by (k, n) products: `left` mk, `right` kn, `smaller` the lesser of the two, `packed` that operand in whole
blocks of the primitive (see `charge.packed_blocks`), `windowed` both operand and result in whole blocks (see
`charge.windowed_blocks`), `output` mn, `score` as above of the result, `row` m, `mac` mkn.
"""
_OF_ELEMENTS = ("element", "score", "row", "reduction", "leftover")
_OF_MATMULS = ("left", "right", "smaller", "packed", "windowed", "output", "score", "row", "mac")
Unit = Literal["B/element", "B/element/bit", "B", "round trips/call", "s/element", "s", "s/round trip"]
Payer = Literal["parties", "dealer"]
"""Who sends what a preprocessing needs: the parties to each other, or a dealer to them."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A number that was measured or published.

    Attributes:
        value: 0 or above.
        unit: `B/element` counts both directions; `round trips/call` are one-way hops on the critical path,
            halved.
        source: where it can be read or how it was derived.
        date: of the reading or publication, YYYY-MM.
    """

    value: float
    unit: Unit
    source: str
    date: str


@dataclass(frozen=True, slots=True)
class SmallCalls:
    """The price of calls on fewer than `below` elements, per element, up to the price of one of `below`.

    Attributes:
        pool: elements of one refill, where such calls draw from a pool; 0: there is none.
        rounds: round trips of a call that finds the pool filled. One on n < `pool` elements refills it in a share
            n / `pool` of the cases, and takes the primitive's own `rounds` there.
    """

    below: int
    bytes: Constant
    pool: int = 0
    rounds: Constant | None = None


@dataclass(frozen=True, slots=True)
class Primitive:
    """One cryptographic step on a vector of elements.

    Attributes:
        bytes: sent in both directions, an element.
        rounds: round trips on the critical path, a call of any size (but see `small`).
        seconds: compute on the protocol's `machine`, an element.
        block: calls are padded to a multiple of it (ciphertext slots).
        lanes: a call of more than one block is divided into so many, each padded by itself.
        small: dearer price of small calls, where batching is not full.
        offline: what a query's preprocessing sends for it, an element.
        offline_seconds: what making that takes, an element; sending it not included.
        once: sent once for a pair of parties, an element (a server's encrypted weights).
        single: of a product (m, k) by (k, n) whose m k n fit one block, so that one product of polynomials holds
            all results: half a block of `bytes` goes whole, of the other half the results alone, each at this.
        per_bit: change of `bytes` for every bit that the ring is wider than the one they were read with.
    """

    bytes: Constant
    rounds: Constant
    seconds: Constant
    block: int = 1
    lanes: int = 1
    small: SmallCalls | None = None
    offline: Constant | None = None
    offline_seconds: Constant | None = None
    once: Constant | None = None
    per_bit: Constant | None = None
    single: Constant | None = None

    def constants(self) -> Iterator[tuple[str, Constant, Unit]]:
        """Each by its field, with the unit it must have."""
        yield "bytes", self.bytes, "B/element"
        yield "rounds", self.rounds, "round trips/call"
        yield "seconds", self.seconds, "s/element"
        optional: tuple[tuple[str, Constant | None, Unit], ...] = (
            ("offline", self.offline, "B/element"),
            ("offline_seconds", self.offline_seconds, "s/element"),
            ("once", self.once, "B/element"),
            ("per_bit", self.per_bit, "B/element/bit"),
            ("single", self.single, "B/element"),
        )
        for name, constant, unit in optional:
            if constant is not None:
                yield name, constant, unit
        if self.small is not None:
            yield "small.bytes", self.small.bytes, "B/element"
            if self.small.rounds is not None:
                yield "small.rounds", self.small.rounds, "round trips/call"


@dataclass(frozen=True, slots=True)
class Term:
    """`times` uses of a primitive on every `per` of an operation.

    Attributes:
        depth: how many of them follow one another (round trips add up); all of them if not given. A
            `reduction` is a tree, `depth` times log2(columns) deep.
    """

    primitive: str
    per: Measure
    times: float = 1.0
    depth: float | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """What a pair of parties pays once, before the first query (keys, base oblivious transfers)."""

    bytes: Constant
    seconds: Constant


@dataclass(frozen=True, slots=True)
class Ring:
    """Width of the numbers that are shared.

    Attributes:
        bits: that the prices are for; `protocol.ring.bits=37` asks for others where the primitives say what a bit
            costs.
        read_bits: that the constants were read with.
    """

    bits: int
    read_bits: int


@dataclass(frozen=True)
class Protocol:
    """A protocol between a client, a server and, by its trust model, a third party.

    Attributes:
        name: as in `protocol=name`.
        title: one line for people.
        trust: who is trusted with what, a word of `trust.TRUST`.
        offline: whether the constants `bytes` have a preprocessing phase `included` or `omitted`; of an omitted one
            the primitives' `offline` say what is known.
        payer: who sends what a preprocessing needs.
        weights: `private` to the server, or `secret` (shared like activations); linears and the embedding
            lookup are lowered by the entries `linear_private`, `lookup_private` or `..._secret` of `use`; norms
            and factors of the server's own by such an entry where there is one.
        machine: where the compute seconds were read.
        setup: one-time costs.
        primitives: by name.
        lowerings: by name; operations as lists of terms, each run once the one before is done.
        use: which lowering serves an operation kind; `protocol.use.gelu=gelu_puma` picks another.
        round_seconds: compute of both parties for every round trip, whatever travels (waking up, packing);
            the network's own round-trip time is not in it. None: nothing.
        ring: width of its numbers; None: it is not said, and no price depends on it.
        cores: hardware threads of all parties together that the seconds are those of; 0: not said, or GPUs compute.
        gpus: likewise; what neither says costs no money.
        spu: SPU's name of the protocol that `measure` and `calibrate` run, where it has several of the trust model;
            empty: the first of them.
    """

    name: str
    title: str
    trust: str
    offline: Literal["included", "omitted"]
    weights: Literal["private", "secret"]
    machine: str
    setup: Setup
    primitives: Mapping[str, Primitive]
    lowerings: Mapping[str, tuple[Term, ...]]
    use: Mapping[str, str]
    round_seconds: Constant | None = None
    payer: Payer = "parties"
    ring: Ring | None = None
    cores: int = 0
    gpus: int = 0
    spu: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "trust", trust_word(self.trust))
        for field, count in (("cores", self.cores), ("gpus", self.gpus)):
            if count < 0:
                raise RequestError(f"protocol.{field}={count} must be 0 or above")
        for where, constant, unit in self._constants():
            if constant.value < 0:
                raise RequestError(f"protocol.{where}.value={constant.value:g} must be 0 or above")
            if constant.unit != unit:
                raise RequestError(f"protocol.{where}.unit={constant.unit} must be '{unit}'")
        for name, primitive in self.primitives.items():
            if primitive.block < 1:
                raise RequestError(f"protocol.primitives.{name}.block={primitive.block} must be 1 or above")
            if primitive.lanes < 1:
                raise RequestError(f"protocol.primitives.{name}.lanes={primitive.lanes} must be 1 or above")
            if primitive.small is not None and primitive.small.below < 1:
                raise RequestError(
                    f"protocol.primitives.{name}.small.below={primitive.small.below} must be 1 or above"
                )
        self._check_ring()
        self._check_lowerings()
        self._check_use()

    def lowering_of(self, operation: Operation) -> tuple[Term, ...]:
        """The terms an operation is built from; the products of attention may have entries of their own.

        Raises:
            RequestError: the protocol does not say how.
        """
        own = f"{operation.kind}_{operation.name}"
        return (
            self.lowerings[self.use[own]]
            if own in PRODUCTS and own in self.use
            else self.lowering(operation.kind)
        )

    def entries_of(self, operation: Operation) -> tuple[str, ...]:
        """The entries of `use` that an operation is built from: its own, or those of what it is made of."""
        own = f"{operation.kind}_{operation.name}"
        return (own,) if own in PRODUCTS and own in self.use else self._entries(operation.kind)

    def with_use(self, use: Mapping[str, str]) -> Protocol:
        """The same with these lowerings in the place of its own.

        Raises:
            RequestError: an entry is no operation, or a lowering is none of the protocol's or cannot serve it.
        """
        return replace(self, use={**self.use, **use}) if use else self

    @property
    def extra_bits(self) -> int:
        """How much wider the ring is than the one the constants were read with."""
        return 0 if self.ring is None else self.ring.bits - self.ring.read_bits

    @property
    def any_ring(self) -> bool:
        """Whether it has prices for rings of other widths than its own."""
        return self.ring is not None and any(p.per_bit is not None for p in self.primitives.values())

    def with_offline(self) -> Protocol:
        """The same with every query's preprocessing in its bytes and seconds.

        Raises:
            RequestError: the preprocessing is left out, and nothing says what it sends.
        """
        if self.offline == "included":
            return self
        known = [
            p for p in self.primitives.values() if p.offline is not None or p.offline_seconds is not None
        ]
        if not known:
            raise RequestError(
                f"offline=include needs what the preprocessing of protocol={self.name} sends, which nobody has "
                "published: take offline=apart"
            )
        primitives = {name: _online_and_offline(p) for name, p in self.primitives.items()}
        return replace(self, primitives=primitives, offline="included")

    def lowering(self, kind: str) -> tuple[Term, ...]:
        """The terms an operation of this kind is built from; those of what it is made of where `use` has no line.

        Raises:
            RequestError: the protocol does not say how.
        """
        name = self._entry(kind)
        if name in self.use:
            return self.lowerings[self.use[name]]
        card = operation_card(kind)
        parts = {} if card is None else card.made_of
        if parts and all(part in self.use for part in parts):
            return tuple(
                replace(
                    term, times=count * term.times, depth=term.times if term.depth is None else term.depth
                )
                for part, count in parts.items()
                for term in self.lowering(part)
            )
        of = f", nor {' and '.join(parts)}, of which it can be built" if parts else ""
        raise RequestError(
            f"protocol {self.name} does not say how to run {name}{of}: "
            f"name a lowering with +protocol.use.{name}=LOWERING{_choices(self.lowerings)}"
        )

    def _entry(self, kind: str) -> str:
        """The entry of `use` that is an operation kind's own, whether there is one or not."""
        weighted = f"{kind}_{self.weights}"
        return weighted if kind in WEIGHTED or weighted in self.use else kind

    def _entries(self, kind: str) -> tuple[str, ...]:
        name = self._entry(kind)
        card = operation_card(kind)
        if name in self.use or card is None:
            return (name,)
        return tuple(entry for part in card.made_of for entry in self._entries(part))

    def _constants(self) -> Iterator[tuple[str, Constant, Unit]]:
        yield "setup.bytes", self.setup.bytes, "B"
        yield "setup.seconds", self.setup.seconds, "s"
        if self.round_seconds is not None:
            yield "round_seconds", self.round_seconds, "s/round trip"
        for name, primitive in self.primitives.items():
            for field, constant, unit in primitive.constants():
                yield f"primitives.{name}.{field}", constant, unit

    def _check_ring(self) -> None:
        if self.ring is None:
            return
        for name, bits in (("bits", self.ring.bits), ("read_bits", self.ring.read_bits)):
            if not 1 <= bits <= 128:
                raise RequestError(f"protocol.ring.{name}={bits} must be from 1 to 128")
        if self.extra_bits and not self.any_ring:
            raise RequestError(
                f"protocol.ring.bits={self.ring.bits} has no price: the constants of protocol {self.name} were "
                f"read with {self.ring.read_bits} bits, and none says what a bit costs"
            )

    def _check_lowerings(self) -> None:
        for name, terms in self.lowerings.items():
            for i, term in enumerate(terms):
                where = f"protocol.lowerings.{name}[{i}]"
                if term.primitive not in self.primitives:
                    raise RequestError(
                        f"{where}.primitive={term.primitive} is not among protocol.primitives: "
                        f"{nearest(term.primitive, self.primitives)}"
                    )
                if term.times < 0 or (term.depth is not None and term.depth < 0):
                    raise RequestError(f"{where} must have times and depth of 0 or above")

    def _check_use(self) -> None:
        for kind, name in self.use.items():
            if not is_entry(kind):
                raise RequestError(f"protocol.use.{kind} is not an operation: {nearest(kind, all_entries())}")
            if name not in self.lowerings:
                raise RequestError(
                    f"protocol.use.{kind}={name} is not among protocol.lowerings: "
                    f"{nearest(name, self.lowerings)}"
                )
            matmul = plain_entry(kind) in (*MATMUL_KINDS, *PRODUCTS)
            allowed = _OF_MATMULS if matmul else _OF_ELEMENTS
            for term in self.lowerings[name]:
                if term.per not in allowed:
                    raise RequestError(
                        f"protocol.lowerings.{name} charges {term.primitive} per {term.per}, which {kind} "
                        f"does not have: take one of {', '.join(allowed)}"
                    )


def _online_and_offline(primitive: Primitive) -> Primitive:
    """Preprocessing as part of what a call sends and takes."""
    sent, made = primitive.offline, primitive.offline_seconds
    if sent is not None:
        primitive = replace(
            primitive, bytes=replace(primitive.bytes, value=primitive.bytes.value + sent.value)
        )
    if made is not None:
        seconds = replace(primitive.seconds, value=primitive.seconds.value + made.value)
        primitive = replace(primitive, seconds=seconds)
    return replace(primitive, offline=None, offline_seconds=None)


def _choices(lowerings: Mapping[str, object]) -> str:
    return f" (choices: {', '.join(sorted(lowerings))})"
