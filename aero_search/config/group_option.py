"""One option of a group, as `GROUP=NAME` brings it, read from its file: composing all takes fifty times as long.

A file with a package of its own, or built on more than options of its group, is left to Hydra.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.plugins.config_source import ConfigSource
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aero_search.config.config_files import GLOBAL
from aero_search.config.paths import conf_dir, user_conf_dir

# Whole architectures replace groups; their files are read as those of the global groups are.
_SET_OTHERS = (*GLOBAL, "architecture")


def group_option(group: str, name: str) -> Any:
    """Plain data of an option, interpolations resolved; what interpolates other groups is composed with them.

    Raises:
        HydraException, OmegaConfBaseException, RequestError: the option cannot be read.
    """
    alone = _alone(GlobalHydra.instance().config_loader().get_sources(), group, name)
    if alone is not None:
        try:
            return OmegaConf.to_container(alone, resolve=True)
        except OmegaConfBaseException:
            pass
    return OmegaConf.to_container(compose("config", overrides=[f"{group}={name}"])[group], resolve=True)


class PlainOptions:
    """What choosing another option changes in a composed configuration, where that is its own group alone.

    So it is where nothing else sets fields of the group: no override, no option of a group that sets others, no
    file of the user's that may, and no whole configuration but the shipped ones.

    Args:
        composed: with its `hydra`, from these overrides.
    """

    def __init__(self, loader: ConfigLoader, composed: DictConfig, overrides: Sequence[str]) -> None:
        self._sources, self._composed = loader.get_sources(), composed
        self._set = {re.split(r"[./@:=]", override.lstrip("+~"))[0] for override in overrides}
        chosen = {str(name): option for name, option in composed.hydra.runtime.choices.items() if option}
        self._allowed = (
            self._lies_in(conf_dir(), str(composed.hydra.job.config_name))
            and not any(name in chosen for name in _SET_OTHERS)
            and not any(self._lies_in(user_conf_dir(), f"{name}/{option}") for name, option in chosen.items())
        )
        # Nothing beside the chosen option has brought what the group holds.
        self._own = cache(
            lambda group: (
                group in chosen
                and OmegaConf.to_container(composed[group]) == self._read(group, str(chosen[group]))
            )
        )

    def __call__(self, override: str) -> Mapping[str, Any] | None:
        """The group with its fields, interpolations unresolved; None where Hydra has to be asked."""
        group, _, name = override.partition("=")
        if not self._allowed or "/" in group or group in (*self._set, *_SET_OTHERS) or not self._own(group):
            return None
        fields = self._read(group, name)
        return None if fields is None else {group: fields}

    def _read(self, group: str, name: str) -> Any:
        alone = _alone(self._sources, group, name)
        return None if alone is None else OmegaConf.to_container(alone)

    def _lies_in(self, folder: Path, path: str) -> bool:
        source = _source(self._sources, path)
        return source is not None and Path(source.path).resolve() == folder.resolve()


def _source(sources: Sequence[ConfigSource], path: str) -> ConfigSource | None:
    """The first that has a file, which is the one that Hydra takes."""
    return next((source for source in sources if source.available() and source.is_config(path)), None)


def _alone(
    sources: Sequence[ConfigSource], group: str, name: str, above: tuple[str, ...] = ()
) -> DictConfig | None:
    """The file merged over the options of its group that it begins with; None where Hydra has to be asked.

    Args:
        above: the options that begin with this one.
    """
    path = f"{group}/{name}"
    source = _source(sources, path)
    if source is None or name in above or "/" in name:
        return None
    found = source.load_config(path)
    config = found.config
    if not isinstance(config, DictConfig) or found.defaults_list or found.header.get("package") is not None:
        return None
    defaults = list(config.pop("defaults", []))
    # Last is also where `_self_` stands unsaid. Elsewhere, other groups, packages and keywords are Hydra's to read.
    if defaults[-1:] == ["_self_"]:
        defaults.pop()
    if "_self_" in defaults or not all(isinstance(line, str) and line.isidentifier() for line in defaults):
        return None
    below = [_alone(sources, group, line, (*above, name)) for line in defaults]
    whole = [part for part in below if part is not None]
    if len(whole) < len(below):
        return None
    merged = OmegaConf.merge(*whole, config)
    return merged if isinstance(merged, DictConfig) else None
