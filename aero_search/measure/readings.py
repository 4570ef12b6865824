"""Readings of micro-benchmarks: taken with real processes, kept line by line, never taken twice."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from aero_search.cost.network import Network
from aero_search.errors import AeroSearchError
from aero_search.measure.benchmarks import Item
from aero_search.measure.environment import Environment
from aero_search.measure.mailbox import Role, RuntimeSettings
from aero_search.measure.meter import Reading, Run, together
from aero_search.measure.pair import run_pair
from aero_search.schema import from_mapping, to_mapping

SETUP = "setup"
# Enough bandwidth that the delay alone is felt.
_UNLIMITED_MBPS = 1e6
Told = Callable[[str, int], None]
"""Called with an item's key and how many of its readings there are."""


@dataclass
class ReadingStore:
    """A JSON-lines file of readings, taken on one machine with one set of versions.

    Attributes:
        path: of the file.
        stamp: versions and machine; readings with another stamp are not used.
    """

    path: Path
    stamp: Mapping[str, str]
    _readings: dict[str, list[Reading]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if not self.path.exists():
            return
        for line in self.path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue  # cut off when the one that wrote it was killed
            if entry["stamp"] == dict(self.stamp):
                reading = from_mapping(Reading, entry["reading"])
                self._readings.setdefault(entry["key"], []).append(reading)

    def add(self, key: str, reading: Reading) -> int:
        """Keep one more reading at once. Returns how many there are of this key."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        entry = {"key": key, "stamp": dict(self.stamp), "reading": to_mapping(reading)}
        torn = self.path.exists() and self.path.read_bytes()[-1:] not in (b"", b"\n")
        with self.path.open("a") as file:
            file.write(("\n" if torn else "") + json.dumps(entry) + "\n")
        known = self._readings.setdefault(key, [])
        known.append(reading)
        return len(known)

    def of(self, key: str) -> tuple[Reading, ...]:
        """Every reading of one key, in the order they were taken."""
        return tuple(self._readings.get(key, ()))

    def missing(self, items: Iterable[Item]) -> list[Item]:
        """The items that have not been read as often as they ask."""
        return [item for item in items if len(self.of(item.key)) < item.replicates]


def take_readings(
    items: Sequence[Item],
    store: ReadingStore,
    environment: Environment,
    runtime: RuntimeSettings | None = None,
    told: Told | None = None,
) -> None:
    """Read what the store lacks, one pair of parties a delay.

    Raises:
        AeroSearchError: a party died; what was read before is kept.
    """
    for delay_ms, group in groupby(store.missing(items), key=lambda item: item.delay_ms):
        network = None if not delay_ms else Network("delayed", _UNLIMITED_MBPS, 2 * delay_ms)
        _run(list(group), store, environment, runtime, network, told)


def _run(
    items: Sequence[Item],
    store: ReadingStore,
    environment: Environment,
    runtime: RuntimeSettings | None,
    network: Network | None,
    told: Told | None,
) -> None:
    # Of two parties the server's meter knows all; of three every one has to tell what it sent.
    roles = runtime.roles if runtime is not None and len(runtime.roles) > 2 else ("server",)
    waiting: dict[Role, deque[tuple[str, Reading]]] = {role: deque() for role in roles}

    def listen(role: Role, event: Mapping[str, Any]) -> None:
        if role not in waiting:
            return
        if "run" in event:
            run = from_mapping(Run, event["run"])
            waiting[role].append((run.name, run.total))
        elif SETUP in event:
            waiting[role].append((SETUP, from_mapping(Reading, event[SETUP])))
        while all(waiting.values()):
            name, reading = _first(waiting)
            if name == SETUP and network is not None:
                continue
            known = store.add(name, reading)
            if told is not None:
                told(name, 1 if name == SETUP else known)

    folder = Path(tempfile.mkdtemp(prefix="aero-search-calibrate-"))
    try:
        run_pair(
            "aero_search.measure.bench_party:run_benchmarks",
            folder,
            settings={"items": _tasks(items, store)},
            runtime=runtime,
            python=environment.python,
            network=network,
            listener=listen,
        )
    except AeroSearchError as problem:
        raise AeroSearchError(
            f"{problem}; the readings taken so far are kept; the same command resumes"
        ) from problem
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _first(waiting: Mapping[Role, deque[tuple[str, Reading]]]) -> tuple[str, Reading]:
    """The next reading that all have told; they run the same in the same order."""
    told = [queue.popleft() for queue in waiting.values()]
    return told[0][0], together([reading for _, reading in told])


def _tasks(items: Sequence[Item], store: ReadingStore) -> list[dict[str, Any]]:
    """Everything once, then everything again, so that a busy minute spoils one reading of an item, not all."""
    lacking = {item: item.replicates - len(store.of(item.key)) for item in items}
    passes = range(max(lacking.values(), default=0))
    return [_task(item) for done in passes for item in items if lacking[item] > done]


def _task(item: Item) -> dict[str, Any]:
    benchmark = item.benchmark
    return {
        "key": item.key,
        "name": benchmark.name,
        "inputs": benchmark.inputs,
        "shape": list(item.size.shape),
        "count": item.size.count,
        "secret_weights": benchmark.secret_weights,
    }
