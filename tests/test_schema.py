"""Mappings become dataclasses, or one sentence that names the field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from aero_search.schema import SchemaError, from_mapping, to_mapping


@dataclass(frozen=True)
class Inner:
    rate: float
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    kind: Literal["one", "two"]
    count: int
    inner: Inner
    limit: int | None = None
    flag: bool = False


GOOD = {"kind": "one", "count": 3, "inner": {"rate": 1, "names": ["a"]}}


def test_reads_and_writes() -> None:
    read = from_mapping(Outer, GOOD)
    assert read == Outer("one", 3, Inner(1.0, ("a",)))
    assert isinstance(read.inner.rate, float)
    assert from_mapping(Outer, to_mapping(read)) == read


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "zzz"}, r"x.kind=zzz is not a choice: choose one of one, two"),
        ({"kind": "twoo"}, r"x.kind=twoo is not a choice: did you mean 'two'\? \(choices: one, two\)"),
        ({"count": 1.5}, r"x.count=1.5 must be a whole number"),
        ({"count": True}, r"x.count=True must be a whole number"),
        ({"count": None}, r"x.count=None must be a whole number"),
        ({"inner": {"rate": "fast"}}, r"x.inner.rate=fast must be a number"),
        ({"inner": {"rate": float("nan")}}, r"x.inner.rate=nan must be a finite number"),
        ({"inner": {}}, r"x.inner.rate is missing"),
        ({"inner": {"rate": 1, "names": "a"}}, r"x.inner.names=a must be a list"),
        ({"inner": 3}, r"x.inner must be a mapping"),
        ({"limt": 3}, r"x.limt is not a known field: did you mean 'limit'\?"),
        ({"limit": "many"}, r"x.limit=many must be a whole number"),
        ({"flag": 1}, r"x.flag=1 must be true or false"),
    ],
)
def test_mistakes_are_told_in_a_sentence(change: dict[str, object], says: str) -> None:
    with pytest.raises(SchemaError, match=says):
        from_mapping(Outer, {**GOOD, **change}, "x")


def test_whole_floats_are_whole_numbers() -> None:
    assert from_mapping(Outer, {**GOOD, "count": 3.0}).count == 3
