"""Runs a command under Hydra: its flags, composition and sweeps, with every mistake told in one sentence."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aero_search.config.command import Command
from aero_search.config.complaints import sentence
from aero_search.config.paths import conf_dir, user_conf_dir
from aero_search.config.request import Request
from aero_search.errors import RequestError
from aero_search.export.layout import ARCHITECTURE_FILE, CONFIG_FILE, LARGEST, MANIFEST_FILE
from aero_search.export.manifest import check_manifest
from aero_search.untrusted_files import read_yaml

# Hydra's own logs and folders are off: results have one place, under output_dir.
_QUIET_HYDRA = (
    "hydra.output_subdir=null",
    "hydra.sweep.subdir=.",
    "hydra/job_logging=none",
    "hydra/hydra_logging=none",
)
_OWN_PROCESS = "aero-search {} works out every combination of a sweep in one process, at once: leave {} out"
_HYDRA_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")
# Hydra flags that take a value after them.
_VALUED = (
    *("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--package", "-p"),
    *("--cfg", "-c", "--info", "-i", "--experimental-rerun"),
)
# Hydra flags that print something about the configuration instead of running the command.
_INSPECTING = ("--help", "-h", "--hydra-help", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc")


def run_command(command: Command, arguments: Sequence[str]) -> int:
    """Compose the configuration of `arguments` and run the command on it. Returns the exit code.

    Raises:
        RequestError: the request was wrong.
        AeroSearchError: the work failed.
    """
    argv = [_shorthand(argument, command.spellings) for argument in arguments]
    if command.positional and argv and not argv[0].startswith("-") and "=" not in Path(argv[0]).name:
        argv[0] = f"{command.positional}={quoted(argv[0])}"
    _check_bundle_config(argv)
    inspecting = any(a.split("=")[0] in _INSPECTING for a in argv)
    multirun = any(a in ("--multirun", "-m") for a in argv)
    if command.sweep == "always" and not multirun and not inspecting:
        argv, multirun = ["--multirun", *argv], True
    if multirun and command.sweep == "none":
        raise RequestError(f"aero-search {command.config} takes no --multirun")
    if multirun and command.sweep == "basic" and not inspecting:
        _check_own_process(command, argv)
    try:
        with told(command.config):
            results = _hydra_main(command, argv)
    except SystemExit as stop:
        return _exit_code(stop)
    if command.finish is not None and not inspecting:
        if not results:  # a launcher that a configuration of the user's chooses
            raise RequestError(_OWN_PROCESS.format(command.config, "hydra/launcher and hydra/sweeper"))
        command.finish(results)
    return 0


def _check_own_process(command: Command, argv: Sequence[str]) -> None:
    """What other processes would find out is lost to the one that prints it.

    Raises:
        RequestError: a launcher or a sweeper is chosen.
    """
    for argument in argv:
        name, _, option = argument.lstrip("+~").partition("=")
        if name in ("hydra/launcher", "hydra/sweeper") and option != "basic":
            raise RequestError(_OWN_PROCESS.format(command.config, argument))


def read_request(cfg: DictConfig, overrides: Sequence[str] = ()) -> Request:
    """Resolve a composed configuration into a Request.

    Raises:
        RequestError: an interpolation or a missing value, in one sentence.
    """
    with told(None):
        composed = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(composed, dict)
    return Request({str(key): value for key, value in composed.items()}, tuple(overrides))


@contextmanager
def told(config_name: str | None) -> Iterator[None]:
    """Turn what Hydra and OmegaConf raise into a RequestError of one sentence, see `complaints.sentence`."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as problem:
        raise RequestError(sentence(problem, config_name)) from problem


@contextmanager
def quiet_hydra(given: Sequence[str]) -> Iterator[list[str]]:
    """Overrides that keep Hydra from writing logs and folders, and let it find the user's own groups.

    Args:
        given: the user's overrides; what they set of this themselves is left out.
    """
    quiet = [setting for setting in _QUIET_HYDRA if not _chosen(setting, given)]
    if user_conf_dir().is_dir() and not _chosen("hydra.searchpath", given):
        quiet.append(f"hydra.searchpath=[{quoted(f'file://{user_conf_dir().resolve()}')}]")
    # Hydra's basic sweeper leaves a multirun.yaml in its folder.
    with tempfile.TemporaryDirectory(prefix="aero-search-") as scratch:
        yield [*quiet, *(f"{name}={scratch}" for name in _HYDRA_FOLDERS if not _chosen(name, given))]


def _hydra_main(command: Command, argv: list[str]) -> list[Any]:
    import hydra
    from hydra.core.hydra_config import HydraConfig

    results: list[Any] = []
    problems: list[Exception] = []

    def task(cfg: DictConfig) -> None:
        # Hydra announces what a job raises; ours are told once, by the command line.
        try:
            results.append(command.run(read_request(cfg, HydraConfig.get().overrides.task)))
        except Exception as problem:
            problems.append(problem)

    # Hydra prints a traceback and exits unless told to let the exception through to us.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    saved = sys.argv
    entry = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command.config)
    with quiet_hydra(argv) as quiet:
        sys.argv = [f"aero-search {command.config}", *_flags_first(argv), *quiet]
        try:
            entry(task)()
        finally:
            sys.argv = saved
    if problems:
        raise problems[0]
    return results


def _flags_first(argv: Sequence[str]) -> list[str]:
    """Hydra takes overrides in one piece only; people also write flags between them."""
    overrides = [
        argument
        for before, argument in zip(["", *argv], argv, strict=False)
        if not argument.startswith("-") and (before not in _VALUED or "=" in before)
    ]
    return [*(argument for argument in argv if argument not in overrides), *overrides]


def _chosen(setting: str, argv: Sequence[str]) -> bool:
    return any(argument.startswith(setting.partition("=")[0] + "=") for argument in argv)


def _shorthand(argument: str, spellings: Mapping[str, str]) -> str:
    """`study=NAME` is short for `study.name=NAME`; a command may have spellings of its own."""
    for pattern, replacement in {r"^study=": "study.name=", **spellings}.items():
        argument = re.sub(pattern, replacement, argument)
    return argument


def quoted(text: str) -> str:
    """A value as Hydra's grammar writes one whatever characters it has."""
    escaped = re.sub(r"(\\+)(?='|$)", r"\1\1", text).replace("'", "\\'")
    return f"'{escaped}'"


def _check_bundle_config(argv: Sequence[str]) -> None:
    """Refuse a bundle's configuration that would make Hydra run something, before Hydra reads it.

    A bundle may be a stranger's, and its card says to train from it with --config-dir and --config-name.

    Raises:
        AeroSearchError: the file is not plain data, or not what the bundle's manifest says.
    """
    folder, name = _flag(argv, "--config-dir", "-cd"), _flag(argv, "--config-name", "-cn")
    if folder and name and (Path(folder) / MANIFEST_FILE).is_file():
        check_manifest(Path(folder))
        file = f"{name.removesuffix('.yaml')}.yaml"
        if file == ARCHITECTURE_FILE:
            raise RequestError(
                f"--config-name {name} names an architecture alone: write architecture={Path(folder) / file}"
            )
        read_yaml(Path(folder), file, LARGEST[CONFIG_FILE])


def _flag(argv: Sequence[str], *names: str) -> str | None:
    """The value of a flag, given as `--flag VALUE` or `--flag=VALUE`."""
    for argument, following in zip(argv, [*argv[1:], ""], strict=False):
        flag, equals, value = argument.partition("=")
        if flag in names:
            return value if equals else following
    return None


def _exit_code(stop: SystemExit) -> int:
    if isinstance(stop.code, int):
        return stop.code
    return 0 if stop.code is None else 1
