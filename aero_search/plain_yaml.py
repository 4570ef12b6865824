"""YAML as plain data: one document of scalars, lists and mappings, or one sentence with file, line and reason.

Scalars are those of YAML's safe types as Hydra reads them: `1e-3` is a number, a date is text. There are no tags,
anchors or aliases, no key stands twice in a mapping, and nothing is nested deeper than `DEPTH`.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from copy import deepcopy
from functools import lru_cache
from typing import Any

import yaml

from aero_search.errors import AeroSearchError, UnsafeFileError

# The deepest file of the project, a protocol, is nested 6 deep.
DEPTH = 32
# Longer texts are parsed each time; the longest shipped file has 18,000 characters.
_LONGEST_KEPT = 100_000

_FLOAT = "tag:yaml.org,2002:float"
_DATE = "tag:yaml.org,2002:timestamp"
# What YAML 1.1 leaves as text: an exponent without a point or without a sign.
_EXPONENT = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+|[-+]?\.[0-9_]+[eE][-+]?[0-9]+")


class _PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of this module, no key twice, and every event looked at as it comes."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self._file, self._depth = name, 0

    def get_event(self) -> yaml.Event | None:
        # PyYAML's stubs leave it without types.
        event: yaml.Event | None = super().get_event()  # type: ignore[no-untyped-call]
        line = f"(line {event.start_mark.line + 1})" if event and event.start_mark else ""
        self._depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(
            event, yaml.CollectionEndEvent
        )
        tag, anchor = getattr(event, "tag", None), getattr(event, "anchor", None)
        if tag is not None:
            raise UnsafeFileError(f"{self._file} has the YAML tag {tag} {line}: only plain data is read")
        if anchor is not None:
            raise UnsafeFileError(
                f"{self._file} has the YAML anchor or alias {anchor} {line}: only plain data is read"
            )
        if self._depth > DEPTH:
            raise UnsafeFileError(f"{self._file} is nested more than {DEPTH} deep {line}")
        return event

    def get_single_node(self) -> yaml.Node | None:
        self.get_event()
        node = None if self.check_event(yaml.StreamEndEvent) else self.compose_document()
        documents = 1
        while not self.check_event(yaml.StreamEndEvent):
            documents += isinstance(self.get_event(), yaml.DocumentStartEvent)
        if documents > 1:
            raise UnsafeFileError(f"{self._file} has {documents} YAML documents: it must have one")
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float):
                raise _at(key_node, "a key must be text or a number")
            if key in seen:
                raise _at(key_node, f"the key {key} stands twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


_PlainLoader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != _DATE]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_PlainLoader.add_implicit_resolver(_FLOAT, _EXPONENT, list("-+.0123456789"))


def parse_yaml(text: str, name: str) -> object:
    """The data of a YAML text.

    Args:
        name: of the file, used in messages.

    Raises:
        UnsafeFileError: tags, anchors or aliases, several documents, or too deep nesting.
        AeroSearchError: it is not YAML, or a key stands twice.
    """
    # The caller may change what it gets.
    return deepcopy((_parse if len(text) > _LONGEST_KEPT else _parse_once)(text, name))


def _parse(text: str, name: str) -> object:
    try:
        loader = _PlainLoader(text, name)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError) as problem:
        raise AeroSearchError(f"{name} is not YAML{_place(problem)}: {_reason(problem)}") from None


# A search composes its candidates from the same few files thousands of times.
_parse_once = lru_cache(maxsize=256)(_parse)


def _at(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _place(problem: Exception) -> str:
    mark = getattr(problem, "problem_mark", None) or getattr(problem, "context_mark", None)
    return "" if mark is None else f" (line {mark.line + 1})"


def _reason(problem: Exception) -> str:
    if isinstance(problem, yaml.MarkedYAMLError):
        said = ", ".join(part for part in (problem.context, problem.problem) if part)
    else:
        said = str(problem)
    return " ".join(said.split())[:200] or type(problem).__name__
