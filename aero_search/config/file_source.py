"""How Hydra reads files here: with the project's strict YAML reader, and a `defaults:` of the right form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aero_search.errors import RequestError
from aero_search.user_files import read_text, settings_of

_DEFAULTS_FORM = "write one GROUP: OPTION, or the name of a file, a line"
# As far as Hydra looks for `# @package`.
_HEADER = 512


class StrictFileSource(FileConfigSource):
    """A folder of configuration; what is wrong with a file is told with its name, line and reason."""

    def load_config(self, config_path: str) -> ConfigResult:
        path = Path(self.path) / self._normalize_file_name(config_path)
        if not path.exists():
            raise ConfigLoadError(f"Config not found : {path}")
        text = read_text(path)
        try:
            header = ConfigSource._get_header_dict(text[:_HEADER])
        except ValueError as problem:
            raise RequestError(f"{path}: {problem}") from problem
        data = settings_of(text, path)
        check_defaults(data.get("defaults", []), path)
        return ConfigResult(
            config=make_config(data, path),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=header,
        )


def make_config(data: Mapping[str, Any], path: Path) -> DictConfig:
    """A file's data as OmegaConf holds it.

    Raises:
        RequestError: a value that OmegaConf does not take, such as a torn interpolation.
    """
    try:
        return OmegaConf.create(dict(data))
    except OmegaConfBaseException as problem:
        said = str(problem).split("\n")[0]
        raise RequestError(f"{path}: {problem.full_key or 'a value'}: {said}") from problem


def check_defaults(defaults: Any, path: Path) -> None:
    """Hold a defaults list against its form.

    Raises:
        RequestError: it has another.
    """
    if not isinstance(defaults, list):
        raise RequestError(f"{path}: defaults must be a list: {_DEFAULTS_FORM}")
    for item in defaults:
        if isinstance(item, str) and item.strip():
            continue
        if isinstance(item, Mapping) and len(item) == 1:
            [(group, option)] = item.items()
            options = option if isinstance(option, list) else [option]
            if isinstance(group, str) and all(o is None or (isinstance(o, str) and o) for o in options):
                continue
        raise RequestError(f"{path}: defaults has the entry {str(item)[:60]}: {_DEFAULTS_FORM}")
