"""From overrides to architectures, thousands of them: each choice of groups is composed by Hydra once.

Composing takes tens of milliseconds. Groups are therefore composed once a combination, and single fields, which
Hydra applies after all groups, are put into a copy of the result.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from aero_search.architecture import Architecture
from aero_search.config.architecture import GROUPS, read_architecture

_ABSENT = object()


class Builder:
    """Builds architectures from the overrides of a space.

    Args:
        fixed: the overrides that all of them share, before their own.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig, fixed: Sequence[str]) -> None:
        self._loader, self._master, self._fixed = loader, master, tuple(fixed)
        self._parser = OverridesParser.create(loader)
        self._groups: dict[tuple[str, ...], dict[str, Any] | None] = {}
        self._value = lru_cache(maxsize=None)(self._read_value)

    def __call__(self, overrides: Sequence[str]) -> Architecture:
        """The architecture that Hydra would compose from these overrides.

        Raises:
            RequestError: none can be built from them.
        """
        lines = [(line, line.partition("=")[0]) for line in overrides]
        groups = tuple(line for line, name in lines if "." not in name)
        if groups not in self._groups:
            self._groups[groups] = self._plain(groups)
        known = self._groups[groups]
        if known is not None:
            composed = copy.deepcopy(known)
            if all(_put(composed, name, self._value(line)) for line, name in lines if "." in name):
                return read_architecture(composed)
        # Settings that refer to others, or a field that is not there: Hydra itself says what they mean.
        return read_architecture(_container(self._compose(overrides), resolve=True))

    def _plain(self, groups: Sequence[str]) -> dict[str, Any] | None:
        """The composed groups as plain data; None where one setting refers to another."""
        cfg = self._compose(groups)
        return None if "${" in str(_container(cfg, resolve=False)) else _container(cfg, resolve=True)

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        return self._loader.load_sweep_config(self._master, [*self._fixed, *overrides])

    def _read_value(self, line: str) -> Any:
        (override,) = self._parser.parse_overrides([line])
        return override.value()


def _container(cfg: DictConfig, resolve: bool) -> dict[str, Any]:
    groups = OmegaConf.masked_copy(cfg, [name for name in GROUPS if name in cfg])
    plain = OmegaConf.to_container(groups, resolve=resolve)
    assert isinstance(plain, dict)
    return {str(name): value for name, value in plain.items()}


def _put(data: dict[str, Any], name: str, value: Any) -> bool:
    """Set a dotted field that exists; False where it does not, or where it is no architecture's."""
    *path, last = name.split(".")
    for part in path:
        data = data.get(part, _ABSENT) if isinstance(data, dict) else _ABSENT
    if not isinstance(data, dict) or last not in data:
        return False
    data[last] = copy.deepcopy(value)
    return True
