"""Reference pages, as Markdown, made of what the code says: commands, settings, operations, the Python API.

Meanings and units are the comments of conf/, defaults its values, types the fields that read them.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import aero_search
from aero_search.architecture import Regularizer, Stabilizer
from aero_search.architecture.operations import ACTIVATIONS, ATTENTIONS, FEED_FORWARDS, NORMS
from aero_search.cli import COMMANDS
from aero_search.config.architecture import (
    ActivationGroup,
    AttentionGroup,
    FeedForwardGroup,
    ModelGroup,
    NormGroup,
)
from aero_search.config.help_screen import help_screen, purpose, read_entries
from aero_search.config.paths import conf_dir
from aero_search.cost import Network
from aero_search.cost.money import PriceList
from aero_search.cost.workload import Workload
from aero_search.data.spec import CorpusSpec
from aero_search.front.objective import Objective
from aero_search.schema import alternatives
from aero_search.search.spec import SearchSpec
from aero_search.tracking.spec import TrackingSpec
from aero_search.training.compute import Compute
from aero_search.training.recipe import Recipe

# What reads a group; of the others the files are shown as they are.
SCHEMAS: Mapping[str, Any] = {
    "model": ModelGroup,
    "norm": NormGroup,
    "activation": ActivationGroup,
    "ffn": FeedForwardGroup,
    "attention": AttentionGroup,
    "stabilizer": Stabilizer,
    "regularizer": Regularizer,
    "data": CorpusSpec,
    "recipe": Recipe,
    "compute": Compute,
    "objective": Objective,
    "network": Network,
    "workload": Workload,
    "price": PriceList,
    "search": SearchSpec,
    "tracking": TrackingSpec,
}
# Files of these groups are documents of their own, which a page explains.
EXPLAINED = {"protocol": "../protocols.md", "ladder": "../ablate.md"}
_WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "null"}


@functools.cache
def pages() -> dict[str, str]:
    """The text of every generated page by its name."""
    return {
        "commands": commands_page(),
        "settings": settings_page(),
        "operations": operations_page(),
        "python": python_page(),
    }


def commands_page() -> str:
    """What `aero-search COMMAND --help` prints, for each command."""
    parts = ["# Commands", "", "What `aero-search COMMAND --help` prints.", ""]
    for name in COMMANDS:
        command = importlib.import_module(f"aero_search.commands.{name}").COMMAND
        parts += [f"## {name}", "", "```text", help_screen(command).rstrip(), "```", ""]
    return "\n".join(parts)


def settings_page() -> str:
    """Every setting of conf/: the fields that all commands share, those of one command, and each group."""
    parts = [
        "# Settings",
        "",
        "Choose an option of a group with `GROUP=OPTION`, change one field with `GROUP.FIELD=VALUE`. Defaults and",
        "meanings are those of the files in `conf/`.",
        "",
        "## Of every command",
        "",
        *_of_file("config"),
    ]
    for name in COMMANDS:
        if len(rows := _of_file(name)) > 1:
            parts += [f"## Of `{name}` alone", "", *rows]
    for folder in sorted(path for path in conf_dir().rglob("*") if path.is_dir()):
        group = folder.relative_to(conf_dir()).as_posix()
        if group.startswith("hydra") or not _files(group):
            continue
        parts += [f"## {group}", "", *_options(group)]
        if group in EXPLAINED:
            parts += [f"The fields of such a file: [{EXPLAINED[group]}]({EXPLAINED[group]}).", ""]
        else:
            parts += _rows(("setting", "type", "default", "meaning"), _of_group(group))
    return "\n".join(parts)


def operations_page() -> str:
    """The cards of `aero_search.architecture.operations`."""
    parts = ["# Operations", "", "What a layer may be made of, and its term in the paper's notation.", ""]
    for registry in (NORMS, ACTIVATIONS, ATTENTIONS, FEED_FORWARDS):
        rows = [
            (
                f"`{card.name}`",
                card.term or "",
                card.operation or "nothing",
                ", ".join(f"`{name}`" for name in card.cheaper),
                "; ".join(f"{place}: {why}" for place, why in card.unsupported.items()),
            )
            for card in registry.values()
        ]
        heads = ("name", "term", "priced as", "cheaper", "not supported")
        parts += [f"## {registry.what}", "", *_rows(heads, rows)]
    return "\n".join(parts)


def python_page() -> str:
    """Signature and docstring of every public name."""
    parts = ["# Python names", "", "[The Python API](../python_api.md) has examples.", ""]
    for name in sorted(aero_search.__all__):
        value = getattr(aero_search, name)
        if isinstance(value, str):
            continue
        parts += [f"## {name}", "", "```python", f"{name}{_signature(value)}", "```", "", *_docstring(value)]
        if inspect.isclass(value):
            for method, function in vars(value).items():
                if not method.startswith("_") and inspect.isfunction(function):
                    parts += [
                        f"### {name}.{method}",
                        "",
                        "```python",
                        f"{method}{_signature(function)}",
                        "```",
                    ]
                    parts += ["", *_docstring(function)]
    return "\n".join(parts)


def _signature(value: Any) -> str:
    return str(inspect.signature(value)).replace("aero_search.", "")


def _docstring(value: Any) -> list[str]:
    said = inspect.getdoc(value)
    return ["```text", said, "```", ""] if said else []


def _of_file(file: str) -> list[str]:
    rows = ((f"`{name}`", default, meaning) for name, (default, meaning) in _fields(file))
    return _rows(("setting", "default", "meaning"), rows)


def _fields(file: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Default and meaning of every entry of a file of conf/ that holds a value, by its name."""
    entries = dict(read_entries(conf_dir() / f"{file}.yaml"))
    for name, (default, meaning) in entries.items():
        holds_others = any(other.startswith(f"{name}.") for other in entries)
        if not holds_others and name.partition(".")[0] not in ("hydra", "defaults", "_target_"):
            yield name, (f"`{default}`" if default else "", meaning)


def _of_group(group: str) -> Iterator[tuple[str, ...]]:
    """Every field of a group's options; the first option that explains it gives default and meaning."""
    hints = get_type_hints(SCHEMAS[group], include_extras=True) if group in SCHEMAS else {}
    options = _files(group)
    found: dict[str, tuple[str, ...]] = {}
    for path in options:
        for name, (default, meaning) in _fields(f"{group}/{path.stem}"):
            if name not in found or (meaning and not found[name][3]):
                shown = f"{default} ({path.stem})" if len(options) > 1 else default
                kind = _words(hints[name]) if name in hints else ""
                found[name] = (f"`{group.replace('/', '.')}.{name}`", kind, shown, meaning)
    yield from found.values()


def _options(group: str) -> list[str]:
    return _rows(
        ("option", ""),
        [(f"`{group}={path.stem}`", purpose(f"{group}/{path.stem}")) for path in _files(group)],
    )


def _files(group: str) -> list[Path]:
    return sorted((conf_dir() / group).glob("*.yaml"))


def _rows(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """A table, or nothing where there are no rows."""
    found = list(rows)
    lines = [heads, ("---",) * len(heads), *found] if found else []
    return [*("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines), ""]


def _words(hint: Any) -> str:
    """A type in words."""
    if choices := alternatives(hint):
        return " or ".join(f"`{choice}`" for choice in choices)
    if get_origin(hint) in (Union, types.UnionType):
        return ", ".join(dict.fromkeys(_words(option) for option in get_args(hint)))
    if get_origin(hint) is tuple:
        return f"list of {_words(get_args(hint)[0])}"
    if hint in _WORDS:
        return _WORDS[hint]
    return re.sub(r"(?<!^)(?=[A-Z])", " ", getattr(hint, "__name__", "mapping")).lower()
