"""Composes thousands of candidates a second: Hydra once for every choice of groups, plain dictionaries for values.

What a group's option brings depends, in all configurations but odd ones, on that option alone. So each option is
composed once by Hydra; where options change different groups, their changes are put together; where they meet (a
variant that sets several groups), the options are composed together. Values are then set as Hydra sets them. A
parameter that this cannot follow, such as one that adds a field, goes through Hydra itself, a quarter of a second
each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString

from aero_search.architecture import Architecture
from aero_search.config.architecture import GROUPS, read_architecture
from aero_search.config.checkpoint import architecture_from, recovery_of
from aero_search.config.request import override_names
from aero_search.init.checkpoint import Checkpoint
from aero_search.schema import from_mapping
from aero_search.search.candidate import Candidate, make_candidate
from aero_search.training.recipe import Recipe

# What a candidate is made from.
_READ = (*GROUPS, "architecture", "recipe", "distill", "train")
_Groups = Mapping[str, Any]

_INTEGER = re.compile(r"-?(0|[1-9]\d*)")
_REAL = re.compile(r"-?\d+\.\d+(e[+-]?\d+)?|-?\d+e[+-]?\d+")
_WORD = re.compile(r"[A-Za-z_]\w*")
_PLAIN_LIST = re.compile(r"\[[\w.+-]+(,[\w.+-]+)*\]")
# Words that stand for something else than themselves.
_SPECIAL = ("null", "true", "false", "nan", "inf")


class QuickCompose:
    """Composes overrides into candidates without their configs, and into whole configurations.

    Args:
        compose: from overrides to the groups that Hydra composes, as plain data, interpolations unresolved.
        is_group: whether a name is a group of the configuration.
        whole: Hydra's own way, from overrides to a candidate.
        fingerprint: of the corpus.
        base: what Hydra composes from no overrides, interpolations resolved.
        start: the checkpoint that candidates start from, the output_dir, and the overrides that all of them share.
    """

    def __init__(
        self,
        compose: Callable[[Sequence[str]], _Groups],
        is_group: Callable[[str], bool],
        whole: Callable[[Sequence[str]], Candidate],
        fingerprint: str,
        base: _Groups,
        start: tuple[Checkpoint, Path, Sequence[str]] | None = None,
    ) -> None:
        self._composed: Callable[[tuple[str, ...]], _Groups] = lru_cache(maxsize=None)(compose)
        self._merged = lru_cache(maxsize=None)(self._merge)
        self._is_group = lru_cache(maxsize=None)(is_group)
        self._changes_others = lru_cache(maxsize=None)(self._changes_others_of)
        self._whole = whole
        self._fingerprint = fingerprint
        self._start = start
        self._base = base

    def __call__(self, overrides: Sequence[str]) -> Candidate:
        """The candidate that Hydra composes from the same overrides.

        Raises:
            RequestError: it cannot be built, in one sentence.
        """
        groups = self._read(overrides)
        if groups is None:
            return self._whole(overrides)
        recipe = from_mapping(Recipe, groups.get("recipe"), "recipe")
        start = None if self._start is None else recovery_of(groups, *self._start[:2])
        architecture = self._architecture(groups, overrides)
        return make_candidate(architecture, recipe, self._fingerprint, tuple(overrides), recovery=start)

    def architecture(self, overrides: Sequence[str]) -> Architecture:
        """Its architecture alone, where recipe and corpus do not matter.

        Raises:
            RequestError: it cannot be built, in one sentence.
        """
        groups = self._read(overrides)
        return (
            self._whole(overrides).architecture if groups is None else self._architecture(groups, overrides)
        )

    def configuration(self, overrides: Sequence[str]) -> _Groups | None:
        """The whole configuration that Hydra composes from the same overrides; None where Hydra has to be asked."""
        groups = self._read(overrides)
        options = (override for override in overrides if self._is_group(override.partition("=")[0]))
        if groups is None or any(map(self._changes_others, (None, *options))):
            return None
        return {name: groups.get(name) if name in _READ else value for name, value in self._base.items()}

    def _changes_others_of(self, option: str | None) -> bool:
        """Whether an option changes more than candidates are made from; of None, whether the rest interpolates."""
        rest = {name: value for name, value in self._composed(()).items() if name not in _READ}
        if option is None:
            return _depends(rest, environment=False)
        alone = self._composed((option,))
        return {name: value for name, value in alone.items() if name not in _READ} != rest

    def _architecture(self, groups: _Groups, overrides: Sequence[str]) -> Architecture:
        if self._start is None:
            return read_architecture(groups)
        checkpoint, _, fixed = self._start
        return architecture_from(checkpoint, groups, override_names([*fixed, *overrides]))

    def _read(self, overrides: Sequence[str]) -> _Groups | None:
        """The groups with the values of all overrides; None where Hydra itself has to be asked."""
        options: list[str] = []
        fields: list[tuple[str, str]] = []
        for override in overrides:
            name, _, text = override.partition("=")
            if self._is_group(name):
                options.append(override)
            else:
                fields.append((name, text))
        merged = self._merged(tuple(options))
        groups = dict(merged or {})
        if merged is None or not all(_set(groups, name.split("."), text) for name, text in fields):
            return None
        return groups

    def _merge(self, options: tuple[str, ...]) -> _Groups | None:
        """The groups under these options; None where an interpolation makes values depend on each other."""
        base = self._composed(())
        merged: dict[str, Any] = dict(base)
        seen: set[str] = set()
        for option in options:
            alone = self._composed((option,))
            moved = {name for name in _READ if alone.get(name) != base.get(name)}
            # An option names its own group even where it is the one the base has.
            touched = moved | {option.partition("=")[0].split("/")[0]}
            if touched & seen:
                merged = dict(self._composed(options))
                break
            seen |= touched
            merged |= {name: alone[name] for name in moved}
        groups = {name: merged.get(name) for name in _READ}
        return None if _depends(groups) else groups


def _depends(data: Any, environment: bool = True) -> bool:
    """Whether some value is an interpolation, or missing.

    Args:
        environment: whether one that reads the environment counts, which is the same for all candidates.
    """
    if isinstance(data, Mapping):
        return any(_depends(value, environment) for value in data.values())
    if isinstance(data, list):
        return any(_depends(value, environment) for value in data)
    if not isinstance(data, str):
        return False
    return data == "???" or "${" in (data if environment else data.replace("${oc.env:", ""))


def _set(data: dict[str, Any], path: Sequence[str], text: str) -> bool:
    """Set an existing field in place, copying the mappings on the way; False where there is no such field."""
    for name in path[:-1]:
        inner = data.get(name)
        if not isinstance(inner, Mapping):
            return False
        data[name] = dict(inner)
        data = data[name]
    if path[-1] not in data:
        return False
    data[path[-1]] = _parsed(text)
    return True


def _parsed(text: str) -> Any:
    """What Hydra reads a text as: `[0,2]` is a list, `3` a number. Plain words, numbers and lists go fast."""
    if _PLAIN_LIST.fullmatch(text):
        return [_parsed(item) for item in text[1:-1].split(",")]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text):
        return float(text)
    if _WORD.fullmatch(text) and text.lower() not in _SPECIAL:
        return text
    return _parsed_by_hydra(text)


@lru_cache(maxsize=4096)
def _parsed_by_hydra(text: str) -> Any:
    value = OverridesParser.create().parse_override(f"value={text}").value()
    return value.text if isinstance(value, QuotedString) else value
