"""The micro-benchmarks of a calibration: every primitive and lowering of SPU's protocols, at three sizes.

A benchmark is an operation whose lowering is known, so what it should cost is linear in the constants that are
looked for. Primitives are fitted from operations that use little else; whole lowerings are read beside them and
only compared, so that they tell how far a sum of primitives is to be believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from aero_search.cost.charge import Charge, charge
from aero_search.cost.inventory import Operation
from aero_search.cost.protocol import Protocol, Term
from aero_search.errors import RequestError

Inputs = Literal["one", "two", "factor", "norm", "slope", "product"]
"""What goes in: one secret array; two; one and the server's factors; one and a norm's gain and epsilon; one and
the server's slope; the two matrices of a product."""


@dataclass(frozen=True, slots=True)
class Size:
    """The shape of one instance, as in `cost.inventory.Operation`, and how many there are."""

    shape: tuple[int, ...]
    count: int = 1

    @property
    def elements(self) -> int:
        """Of the input; of the result for products."""
        return self.count * self.shape[0] * self.shape[-1]

    def __str__(self) -> str:
        return ("" if self.count == 1 else f"{self.count} of ") + "x".join(map(str, self.shape))


@dataclass(frozen=True)
class Benchmark:
    """One micro-benchmark.

    Attributes:
        name: of its function in `bench_party`; the lowering of that name says what it uses, unless `terms` do.
        inputs: what it takes.
        sizes: that it is read at.
        terms: what it uses, where the protocol has no lowering that is just this.
        fits: constants are fitted from it; else it is only compared.
        fits_rounds: round trips are fitted from it in any case, because it has calls of a few elements.
        secret_weights: factors and weights are shared instead of the server's own.
        timed_rounds: rounds are read at this size, None if they are not.
    """

    name: str
    inputs: Inputs
    sizes: tuple[Size, ...]
    terms: tuple[Term, ...] | None = None
    fits: bool = False
    secret_weights: bool = False
    timed_rounds: Size | None = None
    fits_rounds: bool = False

    def used(self, quantity: str) -> bool:
        """Whether the constants of this quantity are fitted to it."""
        return self.fits or (quantity == "rounds" and self.fits_rounds)

    def price(self, size: Size, protocol: Protocol) -> Charge:
        """What the protocol says it costs."""
        kind: Literal["matmul", "multiply"] = "matmul" if self.inputs == "product" else "multiply"
        lowering = protocol.lowerings[self.name] if self.terms is None else self.terms
        alone = replace(protocol, lowerings={"benchmark": lowering}, use={kind: "benchmark"})
        return charge(Operation("activation", self.name, kind, size.shape, size.count), alone)

    def primitives(self, protocol: Protocol) -> frozenset[str]:
        """What it uses."""
        terms = protocol.lowerings[self.name] if self.terms is None else self.terms
        return frozenset(term.primitive for term in terms)

    def known_to(self, protocol: Protocol) -> bool:
        """Whether the protocol has what it uses."""
        if self.terms is None:
            return self.name in protocol.lowerings
        return all(term.primitive in protocol.primitives for term in self.terms)


FITTED = ("spu_cheetah_0_9_5", "spu_aby3", "spu_securenn", "spu_semi2k")
"""Shipped protocols whose constants `calibrate source=spu` fits again."""


def benchmarks(protocol: Protocol) -> tuple[Benchmark, ...]:
    """The micro-benchmarks of what this protocol names.

    Raises:
        RequestError: it has a primitive that none of them fits.
    """
    known = tuple(benchmark for benchmark in _all(protocol) if benchmark.known_to(protocol))
    covered: set[str] = set()
    for benchmark in known:
        if benchmark.fits:
            covered |= benchmark.primitives(protocol)
    if missing := sorted(set(protocol.primitives) - covered):
        raise RequestError(
            f"calibrate source=spu fits the primitives of {', '.join(FITTED)}, and protocol={protocol.name} has "
            f"{', '.join(missing)} besides: take one of these and its lowerings"
        )
    return known


# Multiples of 4096 elements use up each refill of SPU's pool of triples, so that readings repeat to a byte.
_ELEMENTS = tuple(Size((1, n)) for n in (4096, 16384, 32768))
_CHEAP = tuple(Size((1, n)) for n in (4096, 32768, 131072))
_DEAR = tuple(Size((1, n)) for n in (4096, 8192, 16384))
_HEADS = tuple(Size((n, n), count) for n, count in ((32, 4), (64, 4), (64, 8)))
_ROWS = tuple(Size(shape) for shape in ((32, 128), (64, 256), (128, 256)))
_WEIGHTS = tuple(
    Size(s) for s in ((32, 128, 128), (128, 64, 512), (32, 256, 1024), (64, 768, 768), (256, 768, 768))
)
_PRODUCTS = tuple(Size(s, n) for s, n in (((32, 32, 32), 4), ((64, 32, 64), 4), ((64, 64, 64), 8)))

# Of attention kinds beside softmax: each is read under causal masks.
ATTENTION_LOWERINGS = (
    "relu_sum",
    "relu_count",
    "square_sum",
    "power",
    "power4",
    "sigmoid",
    "linear_scores",
)


def _uses(*terms: tuple[str, int]) -> tuple[Term, ...]:
    return tuple(Term(primitive, "element", times) for primitive, times in terms)


def _all(protocol: Protocol) -> Iterator[Benchmark]:
    # Where an exponential is a primitive, so are the others as wholes.
    whole = "exponential" in protocol.primitives
    # Fitted. What a reciprocal, a root or a tanh multiplies inside is priced apart, as in the lowerings.
    fitted: tuple[tuple[str, Inputs, tuple[Size, ...], tuple[Term, ...] | None], ...] = (
        ("public_factor", "one", _CHEAP, None),
        ("compare", "one", _ELEMENTS, _uses(("compare", 1))),
        ("relu", "one", _ELEMENTS, None),
        ("equality", "one", _ELEMENTS, None),
        ("product", "two", _ELEMENTS, None),
        ("private_factor", "factor", _ELEMENTS, None),
        (
            "exponential",
            "one",
            _ELEMENTS,
            _uses(("exponential", 1)) if whole else _uses(("square", 8), ("truncate", 9)),
        ),
        (
            "reciprocal",
            "one",
            _DEAR,
            _uses(("reciprocal", 1), *(() if whole else (("multiply", 7), ("square", 1)))),
        ),
        ("rsqrt", "one", _DEAR, _uses(("rsqrt", 1), *(() if whole else (("multiply", 6),)))),
        ("tanh", "one", _DEAR, _uses(("tanh", 1), *(() if whole else (("multiply", 8), ("square", 1))))),
        ("private_matmul", "product", _WEIGHTS, None),
        ("secret_matmul", "product", _PRODUCTS, None),
    )
    for name, inputs, sizes, terms in fitted:
        secret = name == "secret_matmul"
        yield Benchmark(name, inputs, sizes, terms, True, secret, sizes[0])
    # A product with opened or shared weights, where that is how linears run.
    linear = protocol.lowerings[protocol.use["linear_secret"]] if whole else None
    yield Benchmark("secret_weights", "product", _WEIGHTS[:3], linear, whole, secret_weights=True)
    for name in ("softmax_broadcast", "softmax_bumblebee", "softmax_divide"):
        smaller = tuple(Size((n, n), 4) for n in (32, 48, 64))
        sizes = smaller if name == "softmax_divide" else _HEADS
        timed = sizes[0] if name != "softmax_divide" else None
        yield Benchmark(name, "one", sizes, timed_rounds=timed, fits_rounds=timed is not None)
    for name in ATTENTION_LOWERINGS:
        yield Benchmark(name, "one", _HEADS)
    for name in ("gelu_tanh", "gelu_segments", "gelu_puma"):
        yield Benchmark(name, "one", _DEAR, timed_rounds=_DEAR[0])
    for name in ("silu", "quadratic", "squared_relu", "leaky_relu"):
        yield Benchmark(name, "one", _DEAR)
    for secret in (False, True):
        ending = "_secret" if secret else ""
        yield Benchmark(f"leaky_relu_learned{ending}", "slope", _DEAR, secret_weights=secret)
        for norm in ("layernorm", "rmsnorm"):
            timed = _ROWS[0] if norm == "layernorm" and not secret else None
            fits = timed is not None
            yield Benchmark(f"{norm}{ending}", "norm", _ROWS, None, False, secret, timed, fits)


@dataclass(frozen=True, slots=True)
class Item:
    """One benchmark at one size, over a link that delays every message.

    Attributes:
        delay_ms: one way.
        repeats: how often it is read.
    """

    benchmark: Benchmark
    size: Size
    delay_ms: float = 0.0
    replicates: int = 2

    @property
    def key(self) -> str:
        delay = f", {self.delay_ms:g} ms" if self.delay_ms else ""
        return f"{self.benchmark.name} {self.size}{delay}"


DELAYS_MS = (40.0, 80.0)
"""One way. Long enough to drown what a busy machine adds to an operation of 4096 elements."""


def items(protocol: Protocol) -> tuple[Item, ...]:
    """Everything a full calibration reads: sizes first, then rounds at each delay."""
    chosen = benchmarks(protocol)
    plain = [Item(benchmark, size, replicates=3) for benchmark in chosen for size in benchmark.sizes]
    delayed = [
        Item(benchmark, benchmark.timed_rounds, delay)
        for delay in DELAYS_MS
        for benchmark in chosen
        if benchmark.timed_rounds is not None
    ]
    return (*plain, *delayed)


def expected_seconds(item: Item, protocol: Protocol) -> float:
    """How long one item takes on the machine that the protocol's seconds were read on."""
    price = item.benchmark.price(item.size, protocol)
    return item.replicates * (price.seconds + 2 * price.rounds * item.delay_ms / 1e3)
