"""Hydra's flags as the commands take them: exact names, one value each, and none that would run something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aero_search.errors import RequestError, nearest
from aero_search.invocation import typed

_SHORT = {
    "-h": "--help",
    "-c": "--cfg",
    "-i": "--info",
    "-m": "--multirun",
    "-r": "--run",
    "-p": "--package",
    "-cd": "--config-dir",
    "-cn": "--config-name",
    "-cp": "--config-path",
    "-sc": "--shell-completion",
}
_SWITCHES = ("--help", "--hydra-help", "--resolve", "--run", "--multirun", "--version")
_CHOICES = {
    "--cfg": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
}
_VALUED = ("--cfg", "--package", "--config-dir", "--config-name")
FLAGS = (*_SWITCHES, *_VALUED, "--info")
# What prints something about the configuration instead of running the command.
_INSPECTING = ("--help", "--hydra-help", "--cfg", "--info", "--version")
_REFUSED = {
    "--experimental-rerun": "reads a pickle, and a pickle can run anything: run the command again instead",
    "--shell-completion": f"knows no commands: type `{typed('--completion bash')}` for one that does",
    "--config-path": "would hide the shipped configuration: add your own folder with --config-dir",
}
_LONGEST_NAME = 200
# `--help=all` is Hydra's own help; `--help` alone is a screen of ours.
ALL = "all"


@dataclass
class Flags:
    """The flags of one command line by their long names, with their values; a switch has None."""

    given: dict[str, str | None] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.given

    @property
    def inspecting(self) -> bool:
        """Whether something about the configuration is printed instead of running the command."""
        return any(name in self.given for name in _INSPECTING)

    def arguments(self) -> list[str]:
        """As Hydra reads them."""
        return [
            name if value is None or name == "--help" else f"{name}={value}"
            for name, value in self.given.items()
        ]


def read_flags(argv: Sequence[str]) -> tuple[Flags, list[str]]:
    """Tell flags from overrides, wherever they stand.

    Returns:
        The flags, and the overrides in their order.

    Raises:
        RequestError: no such flag, a value that it does not take, or flags that exclude each other.
    """
    flags, overrides = Flags(), []
    waiting = list(argv)
    while waiting:
        argument = waiting.pop(0)
        if not argument.startswith("-"):
            overrides.append(argument)
            continue
        said, equals, value = argument.partition("=")
        name = _SHORT.get(said, said)
        if name in _REFUSED:
            raise RequestError(f"{name} {_REFUSED[name]}")
        if name == "--help" and value == ALL:
            flags.given[name] = ALL
            continue
        if name in _SWITCHES:
            if equals:
                raise RequestError(f"{name} takes no value: leave ={value[:60]} out")
            flags.given[name] = None
        elif name == "--info" and not equals:
            chosen = waiting and waiting[0] in _CHOICES[name]
            flags.given[name] = waiting.pop(0) if chosen else "all"
        elif name in (*_VALUED, "--info"):
            if not equals and not waiting:
                raise RequestError(f"{name} needs a value")
            flags.given[name] = value if equals else waiting.pop(0)
        else:
            raise RequestError(
                f"{said[:60]} is not a flag: {nearest(said[:60], FLAGS)}; a setting has no dashes, as in "
                "search.n_trials=8"
            )
    _check(flags)
    return flags, overrides


def _check(flags: Flags) -> None:
    for name, choices in _CHOICES.items():
        value = flags.given.get(name)
        if value is not None and value not in choices:
            raise RequestError(f"{name}={value[:60]} is not a choice: {nearest(value[:60], choices)}")
    if "--resolve" in flags and not ("--cfg" in flags or "--help" in flags):
        raise RequestError("--resolve belongs to --cfg: write --cfg job --resolve, or leave it out")
    if "--package" in flags and "--cfg" not in flags:
        raise RequestError("--package belongs to --cfg: write --cfg job --package NAME, or leave it out")
    modes = [name for name in ("--run", "--multirun", "--cfg", "--info") if name in flags]
    if len(modes) > 1:
        raise RequestError(f"{modes[0]} and {modes[1]} exclude each other: leave one out")
    for name in _VALUED:
        value = flags.given.get(name)
        if value is not None and (
            not value or max(map(len, value.split("/"))) > _LONGEST_NAME or "\0" in value
        ):
            raise RequestError(f"{name}={value[:60]} is no name: give one of 1 to {_LONGEST_NAME} characters")
    folder = flags.given.get("--config-dir")
    if folder is not None and not Path(folder).is_dir():
        raise RequestError(f"--config-dir={folder} is no folder: name one that exists")
