"""How Hydra reads files here: with the project's strict YAML reader, and a `defaults:` of the right form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf
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
        _check_defaults(data.get("defaults", []), path)
        try:
            config = OmegaConf.create(dict(data))
        except OmegaConfBaseException as problem:
            said = str(problem).split("\n")[0]
            raise RequestError(f"{path}: {problem.full_key or 'a value'}: {said}") from problem
        return ConfigResult(
            config=config,
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=header,
        )


# A worker process gets the sources registered here before Hydra registers its own there: both must have one name.
StrictFileSource.__name__ = FileConfigSource.__name__


def read_files_strictly() -> None:
    """Make Hydra read files through `StrictFileSource` in this process."""
    # Hydra registers its own sources when its plug-ins are first looked for, and refuses a second one.
    Plugins.instance()
    SourcesRegistry.instance().types["file"] = StrictFileSource


def _check_defaults(defaults: Any, path: Path) -> None:
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
