"""Readings of micro-benchmarks to the constants of a protocol, by least squares.

A price is linear in the constants as long as the same branch is taken (padding, small calls), so its derivatives
are the counts of elements or calls. The unknowns are changes relative to the protocol one starts from: what the
readings do not determine keeps its proportion to what they do. Each constant is at least 0. The squares are
reweighted (iteratively, by the inverse of the errors), so that a few odd readings among many do not count.

Bytes and seconds are fitted with relative errors. One-way hops are what a reading takes longer, per delay added
to every message; round trips are half of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from aero_search.cost.charge import Charge
from aero_search.cost.protocol import Constant, Protocol, Setup
from aero_search.errors import AeroSearchError
from aero_search.measure.benchmarks import DELAYS_MS, Benchmark, Item, Size, benchmarks
from aero_search.measure.meter import Reading
from aero_search.measure.readings import SETUP, ReadingStore

Quantity = Literal["bytes", "rounds", "seconds"]
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)
"""In the order they are fitted: part of the seconds goes by round trips."""
Array = NDArray[np.float64]
_STEP = 1e-3
_ITERATIONS = 8
# Relative errors below this weigh alike.
_EXACT = 1e-3
# Hops are read to about this many: fewer are not weighed more.
_HOP_NOISE = 4.0


@dataclass(frozen=True, slots=True)
class Check:
    """One benchmark at one size: what was read, and what the fitted protocol says.

    Attributes:
        read: bytes in both directions or seconds (the least of the readings), or round trips (by delay).
        fitted: the same, from the constants.
        used: the fit saw it.
    """

    benchmark: str
    size: Size
    quantity: Quantity
    read: float
    fitted: float
    used: bool

    @property
    def error(self) -> float:
        """Relative: fitted / read - 1."""
        return self.fitted / self.read - 1


@dataclass(frozen=True)
class Fit:
    """The fitted protocol, and how well it gives back each reading."""

    protocol: Protocol
    checks: tuple[Check, ...]

    def of(self, quantity: Quantity, used: bool) -> tuple[Check, ...]:
        return tuple(c for c in self.checks if c.quantity == quantity and c.used == used)

    def largest(self, quantity: Quantity, used: bool) -> Check | None:
        """The worst of them, None if there are none."""
        return max(self.of(quantity, used), key=lambda c: abs(c.error), default=None)


@dataclass(frozen=True, slots=True)
class _Sample:
    benchmark: Benchmark
    size: Size
    read: float


def fit_protocol(template: Protocol, store: ReadingStore, name: str, machine: str, date: str) -> Fit:
    """Fit every constant of `template` that readings speak of.

    Args:
        template: gives lowerings, blocks and which constants are zero.
        name: of the fitted protocol.
        machine: that the readings were taken on.
        date: of the readings, YYYY-MM.

    Raises:
        AeroSearchError: there are readings missing.
    """
    protocol = replace(template, name=name, machine=machine, title=f"{template.title} again on {machine}")
    protocol = replace(protocol, setup=_setup(store, template.setup, date))
    checks: list[Check] = []
    for quantity in QUANTITIES:
        samples = _samples(template, store, quantity)
        used = [sample for sample in samples if sample.benchmark.used(quantity)]
        protocol = _sourced(_fitted(protocol, used, quantity), quantity, samples, date)
        checks += [_check(sample, protocol, quantity) for sample in samples]
    return Fit(protocol, tuple(checks))


def _samples(protocol: Protocol, store: ReadingStore, quantity: Quantity) -> list[_Sample]:
    samples = []
    for benchmark in benchmarks(protocol):
        if quantity == "rounds":
            if (size := benchmark.timed_rounds) is not None:
                samples.append(_Sample(benchmark, size, _round_trips(store, benchmark, size)))
            continue
        for size in benchmark.sizes:
            readings = _of(store, Item(benchmark, size))
            # Now and then a reading also refills a pool of oblivious transfers (0.53 MB), or meets a busy machine.
            read = min(float(getattr(reading, quantity)) for reading in readings)
            samples.append(_Sample(benchmark, size, read))
    return samples


def _of(store: ReadingStore, item: Item) -> Sequence[Reading]:
    readings = store.of(item.key)
    if not readings:
        raise AeroSearchError(f"there is no reading of {item.key}: run the calibration again")
    return readings


def _round_trips(store: ReadingStore, benchmark: Benchmark, size: Size) -> float:
    """Half the slope of seconds over one-way delay: least squares of the quickest reading at each delay."""
    delays = np.array([0.0, *DELAYS_MS]) / 1e3
    seconds = [min(r.seconds for r in _of(store, Item(benchmark, size, 1e3 * delay))) for delay in delays]
    hops = float(np.polyfit(delays, seconds, 1)[0])
    return max(hops / 2, 0.5)


def _setup(store: ReadingStore, template: Setup, date: str) -> Setup:
    readings = store.of(SETUP)
    if not readings:
        raise AeroSearchError("there is no reading of the set-up: run the calibration again")
    source = f"first run of every kind of operation less a second one, {len(readings)} readings"
    return Setup(
        Constant(_round(float(np.mean([r.bytes for r in readings]))), "B", f"{source}, mean", date),
        Constant(_round(min(r.seconds for r in readings)), "s", f"{source}, least", date),
    )


def _fitted(protocol: Protocol, samples: Sequence[_Sample], quantity: Quantity) -> Protocol:
    """Gauss-Newton, reweighted towards the least sum of absolute errors.

    A reading into which a refill of a pool fell, or a busy moment, then moves the constants little.
    """
    read = np.array([sample.read for sample in samples])
    scale = np.maximum(read, _HOP_NOISE / 2) if quantity == "rounds" else read
    names = list(_constants(protocol, quantity))
    weights = np.ones(len(samples))
    for _ in range(_ITERATIONS):
        price = _prices(protocol, samples, quantity)
        slopes = np.zeros((len(samples), len(names)))
        for column, name in enumerate(names):
            # Only what uses the primitive can change.
            rows = [i for i, sample in enumerate(samples) if _may_change(sample, name, protocol)]
            dearer = _prices(_scaled(protocol, name, 1 + _STEP), [samples[i] for i in rows], quantity)
            slopes[rows, column] = (dearer - price[rows]) / _STEP
        scaled = weights / scale
        changes = _least_squares(slopes * scaled[:, None], (read - price) * scaled)
        for name, change in zip(names, changes, strict=True):
            protocol = _scaled(protocol, name, 1 + float(change))
        errors = np.abs(read - _prices(protocol, samples, quantity)) / scale
        weights = 1 / np.sqrt(np.maximum(errors, _EXACT))
    for name in names:
        protocol = _changed(protocol, name, lambda c: replace(c, value=_round(c.value)))
    return protocol


def _may_change(sample: _Sample, name: _Name, protocol: Protocol) -> bool:
    return name == _ROUND or name[0] in sample.benchmark.primitives(protocol)


def _least_squares(slopes: Array, target: Array) -> Array:
    """Relative changes, none below -1: the smallest solution, with what would fall below held at -1."""
    held = np.zeros(slopes.shape[1], dtype=bool)
    while True:
        solution = np.full(slopes.shape[1], -1.0)
        rest = target + slopes[:, held].sum(axis=1)
        solution[~held] = np.linalg.lstsq(slopes[:, ~held], rest, rcond=1e-10)[0]
        below = (solution < -1) & ~held
        if not below.any():
            return solution
        held |= below


def _prices(protocol: Protocol, samples: Sequence[_Sample], quantity: Quantity) -> Array:
    return np.array([_part(sample.benchmark.price(sample.size, protocol), quantity) for sample in samples])


def _part(price: Charge, quantity: Quantity) -> float:
    return float(getattr(price, quantity))


_Name = tuple[str, Literal["bytes", "seconds", "rounds", "small", "filled"]]
"""A primitive and one of its constants; `small` is the bytes of small calls, `filled` their round trips."""
_ROUND: _Name = ("", "seconds")
"""The seconds of each round trip, which belong to no primitive."""


def _constants(protocol: Protocol, quantity: Quantity) -> Iterator[_Name]:
    """The constants to fit; one that is 0 says that the step is local, or counted with another one."""
    for name, primitive in protocol.primitives.items():
        if getattr(primitive, quantity).value > 0:
            yield name, quantity
        if quantity == "bytes" and primitive.small is not None:
            yield name, "small"
        if quantity == "rounds" and primitive.small is not None and primitive.small.rounds is not None:
            yield name, "filled"
    if quantity == "seconds" and protocol.round_seconds is not None and protocol.round_seconds.value > 0:
        yield _ROUND


def _changed(protocol: Protocol, name: _Name, change: Callable[[Constant], Constant]) -> Protocol:
    if name == _ROUND:
        assert protocol.round_seconds is not None
        return replace(protocol, round_seconds=change(protocol.round_seconds))
    primitive = protocol.primitives[name[0]]
    match name[1]:
        case "bytes":
            primitive = replace(primitive, bytes=change(primitive.bytes))
        case "seconds":
            primitive = replace(primitive, seconds=change(primitive.seconds))
        case "rounds":
            primitive = replace(primitive, rounds=change(primitive.rounds))
        case "small":
            assert primitive.small is not None
            primitive = replace(
                primitive, small=replace(primitive.small, bytes=change(primitive.small.bytes))
            )
        case "filled":
            assert primitive.small is not None
            assert primitive.small.rounds is not None
            primitive = replace(
                primitive, small=replace(primitive.small, rounds=change(primitive.small.rounds))
            )
    return replace(protocol, primitives={**protocol.primitives, name[0]: primitive})


def _scaled(protocol: Protocol, name: _Name, factor: float) -> Protocol:
    return _changed(protocol, name, lambda constant: replace(constant, value=constant.value * factor))


def _check(sample: _Sample, protocol: Protocol, quantity: Quantity) -> Check:
    benchmark = sample.benchmark
    fitted = _part(benchmark.price(sample.size, protocol), quantity)
    return Check(benchmark.name, sample.size, quantity, sample.read, fitted, benchmark.used(quantity))


def _sourced(protocol: Protocol, quantity: Quantity, samples: Sequence[_Sample], date: str) -> Protocol:
    """Say of each fitted constant which benchmarks it comes from, and how far off they are with it."""
    for name in _constants(protocol, quantity):
        here = [s for s in samples if s.benchmark.used(quantity) and _depends(s, protocol, name, quantity)]
        worst = max((abs(_check(s, protocol, quantity).error) for s in here), default=0.0)
        seen = ", ".join(dict.fromkeys(s.benchmark.name for s in here))
        source = f"least squares over {len(here)} readings ({seen}), largest error {100 * worst:.2g} %"
        protocol = _changed(protocol, name, partial(replace, source=source, date=date))
    return protocol


def _depends(sample: _Sample, protocol: Protocol, name: _Name, quantity: Quantity) -> bool:
    changed = _scaled(protocol, name, 1 + _STEP)
    price, dearer = (_part(sample.benchmark.price(sample.size, p), quantity) for p in (protocol, changed))
    return dearer > price


def _round(value: float) -> float:
    """Four significant digits: more than two runs agree on, in all but bytes."""
    return float(f"{value:.4g}")
