"""The YAML files that Hydra composes: shipped ones as they are, all others as data of their group.

A folder that --config-dir or hydra.searchpath names may be a stranger's. Its files may not set `hydra`, name a
`_target_`, interpolate, move to another package, or say where results go and which server is asked. The user's own
folder (`paths.user_conf_dir`) may, but for the groups that people hand on: those are data everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource

from aero_search.architecture import Architecture, Attention, Regularizer, Stabilizer
from aero_search.config.architecture import ActivationGroup, FeedForwardGroup, ModelGroup, NormGroup
from aero_search.config.file_source import StrictFileSource, check_defaults, make_config
from aero_search.config.paths import conf_dir, user_conf_dir
from aero_search.cost import Network, PriceList, Protocol, Workload
from aero_search.data.spec import CorpusSpec
from aero_search.errors import AeroSearchError, RequestError, nearest
from aero_search.front.objective import Objective
from aero_search.plain_yaml import parse_yaml
from aero_search.quantity import UNITS
from aero_search.search.ladder import Ladder
from aero_search.search.spec import RungsSpec, SamplerSpec, SearchSpec
from aero_search.search.stages.spec import StagesSpec
from aero_search.space.allowed import ARCHITECTURE_GROUPS
from aero_search.tracking.spec import TrackingSpec
from aero_search.training.compute import Compute
from aero_search.training.recipe import Recipe
from aero_search.untrusted_files import plain_mapping
from aero_search.user_files import read_text, settings_of

LARGEST_BYTES = 1_000_000
# Settings that say where something is written or asked, with the one value that a file may give them.
PLACES: Mapping[str, object] = {
    "output_dir": "outputs",
    "tracking.uri": None,
    "search.storage": None,
    "data.cache_dir": None,
}
_OPTION = re.compile(r"\w[\w.+-]*", re.ASCII)
# As far as Hydra looks for `# @package`.
_HEADER = 512
# Groups whose files set fields of others, and which.
GLOBAL = ("variant", "experiment")


def _names(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


# Group: the fields that its files may have.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "model": _names(ModelGroup),
    "norm": _names(NormGroup),
    "activation": _names(ActivationGroup),
    "ffn": _names(FeedForwardGroup),
    "stabilizer": _names(Stabilizer),
    "attention": _names(Attention),
    "regularizer": _names(Regularizer),
    "architecture": _names(Architecture),
    "variant": ARCHITECTURE_GROUPS,
    "recipe": _names(Recipe),
    "objective": _names(Objective),
    "objective/constraints": tuple(UNITS),
    "protocol": _names(Protocol),
    "network": _names(Network),
    "workload": _names(Workload),
    "price": _names(PriceList),
    "ladder": _names(Ladder),
    "data": _names(CorpusSpec),
    "compute": _names(Compute),
    "search": _names(SearchSpec),
    "search/sampler": _names(SamplerSpec),
    "search/rungs": _names(RungsSpec),
    "search/stages": _names(StagesSpec),
    "tracking": _names(TrackingSpec),
}
# Files of these groups are handed on, and data wherever they lie.
_HANDED_ON = (*ARCHITECTURE_GROUPS, "architecture", "variant", "recipe", "objective", "objective/constraints",
              "protocol", "network", "workload", "price", "ladder")  # fmt: skip

# The settings that the command line gives; None in a worker's process, whose parent has looked at them.
_typed: frozenset[str] | None = None


class ConfigFiles(StrictFileSource):
    """A folder of configuration, read by the rules of this module."""

    def load_config(self, config_path: str) -> ConfigResult:
        root = Path(self.path).resolve()
        path = Path(self.path) / self._normalize_file_name(config_path)
        if not path.resolve().is_relative_to(root):
            raise RequestError(f"{path} leads out of the folder {root}: name a file that lies in it")
        group = config_path.rpartition("/")[0]
        own = root == user_conf_dir().resolve() and group not in _HANDED_ON
        if own or root == conf_dir().resolve():
            return super().load_config(config_path)
        if not path.exists():
            raise ConfigLoadError(f"Config not found : {path}")
        data, package = read_config(path, group)
        return ConfigResult(
            config=make_config(data, path),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header={"package": package},
        )


# A worker process gets the sources registered here before Hydra registers its own there: both must have one name.
ConfigFiles.__name__ = FileConfigSource.__name__


@contextmanager
def files_as_data(typed: Iterable[str]) -> Iterator[None]:
    """Make Hydra read files through `ConfigFiles`.

    Args:
        typed: the settings that the command line gives, which win over a file's.
    """
    global _typed
    # Hydra registers its own sources when its plug-ins are first looked for, and refuses a second of a kind.
    Plugins.instance()
    sources, before = SourcesRegistry.instance().types, _typed
    shipped = sources["file"]
    sources["file"], _typed = ConfigFiles, frozenset(typed)
    try:
        yield
    finally:
        sources["file"], _typed = shipped, before


def read_config(path: Path, group: str) -> tuple[dict[str, Any], str | None]:
    """A file of a group, or a whole configuration (group ""), with the package that it names.

    Raises:
        RequestError: it is not data that such a file may have; says which field.
    """
    if group and group not in (*_FIELDS, *GLOBAL):
        raise RequestError(
            f"{path} is in the group {group}, whose settings can run code: say them on the command line, or move "
            f"the file to your own folder {user_conf_dir()}"
            if group.startswith("hydra")
            else f"{path} is in the group {group}: {nearest(group, [*_FIELDS, *GLOBAL])}"
        )
    text = read_text(path)
    parsed = settings_of(text, path)
    _check_fields(parsed, group, path)
    try:
        data = dict(plain_mapping(dict(parsed), str(path)))
    except AeroSearchError as problem:
        raise RequestError(str(problem)) from problem
    check_defaults(data.get("defaults", []), path)
    _check_defaults(data.get("defaults", []), group, path)
    if not isinstance(data.get("architecture"), dict | None):
        raise RequestError(
            f"{path} names the file architecture={data['architecture']}: say that on the command line"
        )
    _leave_places_out(data, group, path)
    return data, _package(text, group, path)


def check_shadows(folder: Path) -> None:
    """Refuse a folder with another file under the name of a shipped option: the shipped one would be read.

    Raises:
        RequestError: there is one.
    """
    for shipped in sorted(conf_dir().glob("*/**/*.yaml")):
        name = shipped.relative_to(conf_dir())
        path = folder / name
        if (
            path.is_file()
            and path.stat().st_size < LARGEST_BYTES
            and path.read_bytes() != shipped.read_bytes()
        ):
            raise RequestError(
                f"{path} has the name of the shipped {name.parent}={name.stem}, which would be read instead: give "
                "it another name"
            )


@lru_cache(maxsize=1)
def _whole() -> tuple[str, ...]:
    """The settings of a whole configuration: those of conf/config.yaml, and a ladder's."""
    said = parse_yaml((conf_dir() / "config.yaml").read_text(), "config.yaml")
    assert isinstance(said, dict)
    groups = [name for entry in said["defaults"] if isinstance(entry, dict) for name in entry]
    return tuple(dict.fromkeys([*said, *groups, "ladder"]).keys() - {"hydra"})


def _check_fields(data: Mapping[str, Any], group: str, path: Path) -> None:
    known = _FIELDS.get(group) or _whole()
    for name in data:
        if name == "hydra":
            raise RequestError(
                f"{path} has the key hydra, with which Hydra runs code: say such settings on the command line"
            )
        if name != "defaults" and name not in known:
            raise RequestError(
                f"{path} has the field {name}, which such a file may not: {nearest(name, known)}"
            )


def _check_defaults(defaults: object, group: str, path: Path) -> None:
    if not isinstance(defaults, list):
        raise RequestError(f"{path}: defaults must be a list of GROUP: OPTION")
    for entry in defaults:
        if isinstance(entry, str):
            key, option = group, entry
        elif isinstance(entry, dict) and len(entry) == 1:
            [(key, option)] = entry.items()
            key = re.sub(r"^(optional |override )*", "", str(key))
            key = key.removeprefix("/") if key.startswith("/") or not group else f"{group}/{key}"
        else:
            raise RequestError(f"{path}: defaults has the entry {str(entry)[:60]}: write GROUP: OPTION")
        inside = key == group or key.startswith(f"{group}/")
        allowed = _FIELDS if group in ("", "experiment") else _FIELDS[group] if group == "variant" else ()
        if not (inside and (key in _FIELDS or key in ("", *GLOBAL))) and key not in allowed:
            raise RequestError(
                f"{path}: defaults names {str(key)[:60]}, which such a file may not: say it on the command line"
            )
        if option is not None and not (isinstance(option, str) and _OPTION.fullmatch(option)):
            raise RequestError(
                f"{path}: defaults has {key!s}: {str(option)[:60]}, which is no name of an option"
            )


def _leave_places_out(data: dict[str, Any], group: str, path: Path) -> None:
    """Take out what the command line gives instead; refuse it where that gives nothing."""
    for place, only in PLACES.items():
        *above, name = place.split(".")
        if group == ".".join(above) and group:
            holder: Any = data
        else:
            holder = data if not above else data.get(above[0])
        if group not in ("", "experiment", *above) or not isinstance(holder, dict) or name not in holder:
            continue
        if holder[name] != only:
            if _typed is not None and place not in _typed:
                raise RequestError(
                    f"{path} sets {place}={holder[name]}, which is for you to say: add {place}=VALUE to the command"
                )
            holder[name] = only


def _package(text: str, group: str, path: Path) -> str | None:
    try:
        header = ConfigSource._get_header_dict(text[:_HEADER])
    except ValueError as problem:
        raise RequestError(f"{path}: {problem}") from problem
    package = header["package"]
    if package is None or (package == "_global_" and group in ("", *GLOBAL)):
        return package
    raise RequestError(f"{path} moves to the package {package}: leave the line # @package out")
