"""Readings as a machine with known constants would give them, in place of two processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from aero_search.cost.protocol import Constant, Protocol, SmallCalls
from aero_search.measure.benchmarks import Item, items
from aero_search.measure.meter import Reading, Run
from aero_search.schema import to_mapping


def scaled(protocol: Protocol, factors: Mapping[str, float]) -> Protocol:
    """The protocol with each primitive's bytes, seconds and rounds times its factor."""

    def times(constant: Constant, factor: float) -> Constant:
        return replace(constant, value=constant.value * factor)

    primitives = {}
    for name, primitive in protocol.primitives.items():
        factor = factors.get(name, 1.0)
        small = primitive.small
        primitives[name] = replace(
            primitive,
            bytes=times(primitive.bytes, factor),
            seconds=times(primitive.seconds, factor),
            rounds=times(primitive.rounds, factor),
            small=None if small is None else _times_small(small, factor),
        )
    return replace(protocol, primitives=primitives)


def _times_small(small: SmallCalls, factor: float) -> SmallCalls:
    rounds = small.rounds
    return replace(
        small,
        bytes=replace(small.bytes, value=factor * small.bytes.value),
        rounds=None if rounds is None else replace(rounds, value=factor * rounds.value),
    )


def reading(item: Item, truth: Protocol) -> Reading:
    price = item.benchmark.price(item.size, truth)
    seconds = price.seconds + 2 * price.rounds * item.delay_ms / 1e3
    sent = round(price.bytes / 2)
    return Reading("total", 1, seconds, sent, round(price.bytes) - sent, 2)


def fake_run_pair(truth: Protocol, seen: list[str], dies_after: int | None = None) -> Callable[..., None]:
    """Stands in for `run_pair`: reads every item it is asked for from the constants of `truth`."""
    known = {item.key: item for item in items(truth)}

    def run_pair(program: str, folder: Any, *, settings: Any, listener: Any, network: Any, **_: Any) -> None:
        assert program == "aero_search.measure.bench_party:run_benchmarks"
        setup = Reading("setup", 1, 9.0, 11_000_000, 11_500_000, 8846)
        listener("server", {"setup": to_mapping(setup)})
        for task in settings["items"]:
            item = known[task["key"]]
            assert (network is None) == (item.delay_ms == 0)
            assert network is None or network.rtt_ms == 2 * item.delay_ms
            if dies_after is not None and len(seen) >= dies_after:
                raise _died()
            seen.append(item.key)
            run = Run(item.key, reading(item, truth), ())
            for role in ("client", "server"):
                listener(role, {"run": to_mapping(run)})

    return run_pair


def _died() -> Exception:
    from aero_search.errors import AeroSearchError

    return AeroSearchError("the client of the private run was killed by SIGKILL: it wrote nothing")
