"""Hydra's sweep grammar on the command line, as parameters: a,b  choice()  range()  interval()  tag(log, ...)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, QuotedString, RangeSweep

from aero_search.errors import RequestError
from aero_search.space import Categorical, Integer, Parameter, Real, Value


def swept_parameter(override: Override) -> Parameter:
    """The parameter that a sweep override describes.

    `range` excludes its end, as Python's does; `interval` is continuous and `int(interval(...))` whole, both
    ends included; `tag(log, ...)` draws an interval logarithmically; `choice`, `a,b` and `glob` list values.

    Raises:
        RequestError: the sweep cannot be understood.
    """
    name = override.key_or_group
    value = override.value()
    tags: set[str] = getattr(value, "tags", set())
    if unknown := tags - {"log"}:
        raise RequestError(f"{name}: tag({sorted(unknown)[0]}, ...) is not known: the one tag is log")
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        log = "log" in tags
        if isinstance(value.start, int) and isinstance(value.end, int):
            return Integer(name, value.start, value.end, log=log)
        return Real(name, float(value.start), float(value.end), log=log)
    if "log" in tags:
        kind = "a range has steps" if isinstance(value, RangeSweep) else "choices have no order"
        raise RequestError(f"{name}: {kind}, so tag(log, ...) needs an interval(start, end)")
    choices = tuple(_plain(name, item) for item in override.sweep_iterator())
    if not choices:
        raise RequestError(f"{name}={override.value()} names nothing: a range needs its end above its start")
    return Categorical(name, tuple(dict.fromkeys(choices)))


def fixed_parameter(override: Override) -> Parameter:
    """A parameter with the one value that a plain override gives it."""
    return Categorical(override.key_or_group, (_plain(override.key_or_group, override.value()),))


def grid(parameters: Sequence[Categorical]) -> list[dict[str, Any]]:
    """Every combination, the last parameter varying fastest."""
    names = [parameter.name for parameter in parameters]
    return [dict(zip(names, values, strict=True)) for values in product(*(p.choices for p in parameters))]


def _plain(name: str, value: Any) -> Value:
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, float):
        return float(f"{value:.12g}")  # without the dust that the steps of a range leave
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, list):  # such as ffn.layers=[0,2],[1]: kept as the text that Hydra reads again
        return "[" + ",".join(str(_plain(name, item)) for item in value) + "]"
    raise RequestError(f"{name} sweeps over {value!r}: numbers, names, true, false and null can be swept")
