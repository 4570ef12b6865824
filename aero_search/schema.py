"""Plain mappings to frozen dataclasses and back: the one way data from YAML or JSON becomes typed.

Types understood: bool, int, float, str, None, Literal, Annotated[str, OneOf(names)], unions of these,
tuple[T, ...], Mapping[str, T] and nested dataclasses. Everything else is a programming error. Nothing read here is
ever executed.
"""

from __future__ import annotations

import dataclasses
import functools
import keyword
import sys
import types
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from aero_search.errors import RequestError, nearest

T = TypeVar("T")


class SchemaError(RequestError):
    """A field is unknown, missing or of the wrong type or value."""


@dataclasses.dataclass(frozen=True, eq=False)
class OneOf:
    """Marks text that must be a member of `names` when it is read: `Annotated[str, OneOf(names)]`.

    `names` may grow until then, as a registry does that plug-ins add to.
    """

    names: Collection[str]


def from_mapping(cls: type[T], data: object, where: str = "") -> T:
    """Build a frozen dataclass from a mapping, checking every field.

    Args:
        cls: the dataclass; a classmethod-free, plain one.
        data: a mapping with string keys, nested as the dataclass is.
        where: the dotted name of this mapping, used in messages (``model``).

    Raises:
        SchemaError: an unknown or missing field, or a value of the wrong type, in one sentence.
    """
    if not isinstance(data, Mapping):
        raise SchemaError(f"{where or cls.__name__} must be a mapping of fields, not {_show(data)}")
    fields = _fields(cast(Any, cls))
    unknown = [key for key in data if key not in fields]
    if unknown:
        key = unknown[0]
        raise SchemaError(f"{_join(where, str(key))} is not a known field: {nearest(key, fields)}")
    values: dict[str, Any] = {}
    for name, (hint, needed) in fields.items():
        if name in data:
            values[_attribute(name)] = _value(hint, data[name], _join(where, name))
        elif needed:
            raise SchemaError(f"{_join(where, name)} is missing: give it a value")
    return cls(**values)


def to_mapping(value: Any) -> Any:
    """Turn dataclasses, tuples and mappings into what YAML and JSON can say (dicts, lists, scalars)."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {_key(f.name): to_mapping(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
    if isinstance(value, Mapping):
        return {str(key): to_mapping(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_mapping(item) for item in value]
    return value


def _key(attribute: str) -> str:
    """A field's name outside Python, where `from` is a name like any other: without its last underscore."""
    return attribute.removesuffix("_")


def _attribute(key: str) -> str:
    return f"{key}_" if keyword.iskeyword(key) else key


@functools.cache
def _fields(cls: Any) -> Mapping[str, tuple[Any, bool]]:
    """The resolved type of each field of a dataclass, and whether it must be given; looked up once."""
    hints = get_type_hints(cls, include_extras=True)
    missing = dataclasses.MISSING
    return {
        _key(f.name): (hints[f.name], f.default is missing and f.default_factory is missing)
        for f in dataclasses.fields(cls)
        if f.init
    }


def _value(hint: Any, value: object, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        for choice in arguments:
            if value == choice and type(value) is type(choice):
                return choice
        raise SchemaError(f"{where}={_show(value)} is not a choice: {nearest(value, arguments)}")
    if origin is Annotated:
        return _one_of(arguments[1], value, where)
    if origin in (Union, types.UnionType):
        return _union(arguments, value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise SchemaError(f"{where}={_show(value)} must be a list")
        item = arguments[0]
        return tuple(_value(item, entry, f"{where}[{i}]") for i, entry in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise SchemaError(f"{where} must be a mapping, not {_show(value)}")
        item = arguments[1]
        return {str(key): _value(item, entry, _join(where, str(key))) for key, entry in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else from_mapping(hint, value, where)
    return _scalar(hint, value, where)


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The values of a type that is a choice, in their order; none of another type."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) is Annotated:
        return tuple(get_args(hint)[1].names)
    return ()


def _one_of(choice: OneOf, value: object, where: str) -> str:
    if isinstance(value, str) and value in choice.names:
        return value
    raise SchemaError(f"{where}={_show(value)} is not a choice: {nearest(value, choice.names)}")


def _scalar(hint: Any, value: object, where: str) -> Any:
    if hint is Any or hint is object:
        return value
    if hint is type(None):
        if value is None:
            return None
        raise SchemaError(f"{where}={_show(value)} must be null")
    if hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            if not abs(value) <= sys.float_info.max:
                raise SchemaError(f"{where}={_show(value)} must be a finite number")
            return float(value)
        raise SchemaError(f"{where}={_show(value)} must be a number")
    if hint is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return _bounded(value, where)
        if isinstance(value, float) and value.is_integer():
            return _bounded(int(value), where)
        raise SchemaError(f"{where}={_show(value)} must be a whole number")
    if hint is bool:
        if isinstance(value, bool):
            return value
        raise SchemaError(f"{where}={_show(value)} must be true or false")
    if hint is str:
        if isinstance(value, str):
            return value
        raise SchemaError(f"{where}={_show(value)} must be text")
    raise TypeError(f"schema does not know the type {hint!r} of {where}")


def _bounded(value: int, where: str) -> int:
    """What databases and torch can hold: 64 bits with a sign."""
    if abs(value) >= 2**63:
        raise SchemaError(f"{where}={_show(value)} is too large: whole numbers lie between -2^63 and 2^63")
    return value


def _union(options: tuple[Any, ...], value: object, where: str) -> Any:
    # The type that matches exactly goes first, so that 4 stays an int in `int | float`.
    ordered = sorted(options, key=lambda option: option is not type(value))
    problems = []
    for option in ordered:
        try:
            return _value(option, value, where)
        except SchemaError as problem:
            problems.append(str(problem))
    told = [p for p, option in zip(problems, ordered, strict=True) if option is not type(None)]
    raise SchemaError(told[0] if len(told) == 1 else " or ".join(dict.fromkeys(told)))


def beyond(name: str, value: float, least: float, most: float) -> Iterator[str]:
    """Yield in one sentence that a number lies outside its bounds; nothing where it does not.

    Args:
        name: the field's dotted name.
    """
    if value < least:
        yield f"{name}={value} must be at least {least}"
    elif value > most:
        yield f"{name}={value} must be at most {most:,}"


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _show(value: object) -> str:
    text = repr(value) if not isinstance(value, str) else value
    return text if len(text) <= 60 else text[:57] + "..."
