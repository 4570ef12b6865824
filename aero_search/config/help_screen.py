"""`COMMAND --help`: one screen with the settings that people change, each with its default and what it means.

Purpose, defaults and meanings are read from the files of conf/ and their comments, the one place they are written
down. Nothing of Hydra is imported, so that help is there at once.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aero_search.config.command import Command
from aero_search.config.paths import conf_dir
from aero_search.invocation import typed

WIDTH = 100
_ENTRY = re.compile(r"^(?P<indent> *)(?:- )?(?P<key>[\w./]+):(?: +(?P<value>.*?))?(?: +# *(?P<said>.*))?$")
# Menus longer than this are cut: --help=all has the rest.
_CHOICES = 7


@dataclass(frozen=True)
class Setting:
    """One setting as the screen shows it."""

    name: str
    default: str
    meaning: str


def help_screen(command: Command) -> str:
    """The text of `aero-search COMMAND --help`."""
    name = command.config
    lines = [
        *textwrap.wrap(purpose(name), WIDTH),
        "",
        f"usage: {typed(name)} [GROUP=OPTION | GROUP.FIELD=VALUE ...]",
        "",
    ]
    settings = [find_setting(name, setting) for setting in command.settings]
    first = max((len(s.name) for s in settings), default=0)
    second = max((len(s.default) for s in settings), default=0)
    for s in settings:
        head = f"  {s.name:<{first}}  {s.default:<{second}}  "
        lines += textwrap.wrap(
            s.meaning or "-",
            WIDTH,
            initial_indent=head,
            subsequent_indent=" " * len(head),
            break_long_words=False,
        )
    if command.examples:
        lines += ["", "examples:", *(f"  {typed(example)}" for example in command.examples)]
    flags = "" if command.sweep == "none" else "--multirun sweeps values given with commas; "
    lines += ["", f"Every other setting: {typed(f'{name} --help=all')}"]
    lines += [f"{flags}--cfg job shows what was composed; --config-dir DIR adds groups of your own."]
    return "\n".join(lines) + "\n"


def purpose(name: str) -> str:
    """What the comment at the head of a command's file says."""
    said = []
    for line in (conf_dir() / f"{name}.yaml").read_text().splitlines():
        if not line.startswith("#"):
            break
        said.append(line.removeprefix("#").strip())
    return " ".join(said)


def find_setting(command: str, name: str) -> Setting:
    """A setting of a command's composed configuration: a group, a field of a group, or a field of its own.

    Raises:
        KeyError: no file of conf/ has it.
    """
    for file in (command, "config"):
        entries = dict(read_entries(conf_dir() / f"{file}.yaml"))
        if name in entries:
            return Setting(name, *entries[name])
    if (conf_dir() / name).is_dir():
        return Setting(name, _default(command, name), _menu(name))
    group, _, field = name.partition(".")
    first = conf_dir() / group / f"{_default(command, group)}.yaml"
    # A field that the default option lacks belongs to another one.
    for path in (first, *sorted((conf_dir() / group).glob("*.yaml"))):
        entries = dict(read_entries(path))
        if field in entries:
            default, meaning = entries[field]
            return Setting(name, default, meaning if path == first else f"{meaning} ({group}={path.stem})")
    raise KeyError(name)


def _default(command: str, group: str) -> str:
    """The option that a group has in a command."""
    parent, _, leaf = group.rpartition("/")
    files = [conf_dir() / f"{command}.yaml", conf_dir() / "config.yaml"]
    if parent:
        files = [conf_dir() / parent / f"{_default(command, parent)}.yaml"]
    for file in files:
        for wanted in (f"override {leaf}", leaf):
            match = re.search(rf"^ *- {re.escape(wanted)}: *(\S+)", file.read_text(), re.MULTILINE)
            if match:
                return "none" if match[1] == "null" else match[1]
    raise KeyError(group)


def _menu(group: str) -> str:
    names = sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
    more = f", ... ({len(names)} in all)" if len(names) > _CHOICES else ""
    return f"one of {', '.join(names[:_CHOICES])}{more}"


def read_entries(path: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    """Every entry of a YAML file of conf/ under its dotted name: its default, and what its comment says.

    The comment stands behind the value, or in the lines above it.
    """
    above: list[str] = []
    parents: list[tuple[int, str]] = []
    for line in path.read_text().splitlines():
        if line.lstrip().startswith("#"):
            above.append(line.strip().removeprefix("#").strip())
            continue
        match = _ENTRY.match(line)
        if match is None or line.lstrip().startswith("- "):
            above = []
            continue
        indent = len(match["indent"])
        parents = [(depth, key) for depth, key in parents if depth < indent]
        name = ".".join([*(key for _, key in parents), match["key"]])
        parents.append((indent, match["key"]))
        value = match["value"] or ""
        default = {"null": "none", "???": "required", "": ""}.get(value, value.strip("'\""))
        yield name, (default if not default.startswith("${") else "none", match["said"] or " ".join(above))
        above = []
