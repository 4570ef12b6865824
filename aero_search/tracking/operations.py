"""What is told to a tracking store, as data: runs, batches, files, ends.

A run is named before the store knows it: `Create.run` is ours, and stays so if the store cannot be reached.
An operation that could not be sent holds all that a later attempt needs, its time among it.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from aero_search.passwords import masked
from aero_search.schema import SchemaError, from_mapping, to_mapping

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

# MLflow's limits on one log_batch.
MAX_METRICS, MAX_PARAMS, MAX_TAGS, MAX_VALUES = 1000, 100, 100, 1000
MAX_PARAM_LENGTH, MAX_TAG_LENGTH = 6000, 8000
# What our own names of runs begin with; the store's have no such beginning.
UNSENT = "unsent-"


def new_run() -> str:
    """A name for a run that no store knows yet."""
    return UNSENT + uuid.uuid4().hex


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Point:
    """One value of a metric; `time_ms` since the epoch."""

    name: str
    value: float
    step: int
    time_ms: int


@dataclass(frozen=True)
class Create:
    """A new run, running, below `parent` where that is given."""

    run: str
    name: str
    tags: Mapping[str, str]
    parent: str | None = None
    time_ms: int = field(default_factory=now_ms)


@dataclass(frozen=True)
class Batch:
    """Values of a run, within MLflow's limits; see `batches`."""

    run: str
    metrics: tuple[Point, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class File:
    """A file for a run, by its absolute path; it replaces the run's file of the same name."""

    run: str
    path: str


@dataclass(frozen=True)
class Text:
    """A text file for a run, such as a JSON document."""

    run: str
    text: str
    name: str


@dataclass(frozen=True)
class End:
    """The status of a run from now on; RUNNING takes it up again."""

    run: str
    status: Status
    time_ms: int = field(default_factory=now_ms)


@dataclass(frozen=True)
class Views:
    """Tags of the experiment, about no run; those that `keep` names stay as they are where someone has set them."""

    tags: Mapping[str, str]
    keep: tuple[str, ...] = ()
    run: str = ""


Operation = Create | Batch | File | Text | End | Views
_KINDS: dict[str, type[Create] | type[Batch] | type[File] | type[Text] | type[End] | type[Views]] = {
    kind.__name__.lower(): kind for kind in (Create, Batch, File, Text, End, Views)
}


def without_secrets(operation: Operation) -> Operation:
    """The operation with stars for passwords and tokens in its parameters and tags."""
    match operation:
        case Create():
            return replace(operation, tags=_masked(operation.tags))
        case Batch():
            return replace(operation, params=_masked(operation.params), tags=_masked(operation.tags))
    return operation


def _masked(texts: Mapping[str, str]) -> Mapping[str, str]:
    return {name: masked(text) for name, text in texts.items()}


def to_line(operation: Operation) -> str:
    """One line of JSON."""
    said = {"kind": type(operation).__name__.lower(), **to_mapping(operation)}
    return json.dumps(said, allow_nan=False, separators=(",", ":")) + "\n"


def from_line(line: str) -> Operation:
    """The operation of a line.

    Raises:
        ValueError: the line is torn or not one of ours.
    """
    data = json.loads(line)
    try:
        return from_mapping(_KINDS[data.pop("kind")], data, "operation")
    except (KeyError, AttributeError, TypeError, SchemaError) as problem:
        raise ValueError(f"not an operation: {problem}") from problem


def batches(
    run: str,
    metrics: tuple[Point, ...] = (),
    params: Mapping[str, object] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[Batch]:
    """Cut values into batches that MLflow takes; long texts are cut as well."""
    texts = [(name, _cut(str(value), MAX_PARAM_LENGTH)) for name, value in (params or {}).items()]
    notes = [(name, _cut(value, MAX_TAG_LENGTH)) for name, value in (tags or {}).items()]
    while metrics or texts or notes:
        some_texts, texts = texts[:MAX_PARAMS], texts[MAX_PARAMS:]
        some_notes, notes = notes[:MAX_TAGS], notes[MAX_TAGS:]
        room = min(MAX_METRICS, MAX_VALUES - len(some_texts) - len(some_notes))
        points, metrics = metrics[:room], metrics[room:]
        yield Batch(run, points, dict(some_texts), dict(some_notes))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
