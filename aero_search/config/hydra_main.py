"""Runs a command under Hydra: its flags, composition and sweeps, with every mistake told in one sentence."""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aero_search import unforeseen
from aero_search.config.command import Command
from aero_search.config.config_files import check_shadows, files_as_data
from aero_search.config.flags import ALL, Flags, read_flags
from aero_search.config.help_screen import help_screen
from aero_search.config.hydra_errors import composing, sentence
from aero_search.config.overrides import check_overrides
from aero_search.config.paths import conf_dir, user_conf_dir
from aero_search.config.request import Request
from aero_search.errors import AeroSearchError, RequestError
from aero_search.export.layout import ARCHITECTURE_FILE, CONFIG_FILE, LARGEST, MANIFEST_FILE
from aero_search.export.manifest import check_manifest
from aero_search.invocation import quoted
from aero_search.passwords import masked
from aero_search.printing import escape_logs, print_line
from aero_search.untrusted_files import read_yaml
from aero_search.user_path import user_path

# Hydra's own logs and folders are off: results have one place, under output_dir.
_QUIET_HYDRA = (
    "hydra.output_subdir=null",
    "hydra.sweep.subdir=.",
    "hydra/job_logging=none",
    "hydra/hydra_logging=none",
)
_OWN_PROCESS = "aero-search {} works out every combination of a sweep in one process, at once: leave {} out"
# A value that is a path of one's home, and nothing more of the grammar.
_AT_HOME = re.compile(r"(\+{0,2}\w[\w./@-]*=)(~[^,'\"\[\]{}()$\\]*)")
_HYDRA_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")


def run_command(command: Command, arguments: Sequence[str]) -> int:
    """Compose the configuration of `arguments` and run the command on it. Returns the exit code.

    Raises:
        RequestError: the request was wrong.
        AeroSearchError: the work failed.
    """
    escape_logs()
    argv = [_shorthand(argument, command.spellings) for argument in arguments]
    for at, setting in enumerate(command.positional[: len(argv)]):
        # A path may have `=` in the name of a folder, and a setting's value may be a path.
        name, equals, _ = argv[at].partition("=")
        if argv[at].startswith("-") or "=" in Path(argv[at]).name or (equals and "/" not in name):
            break
        argv[at] = f"{setting}={quoted(argv[at])}"
    flags, overrides = read_flags(argv)
    if flags.given.get("--help", ALL) != ALL:
        print(help_screen(command), end="")
        return 0
    if command.sweep == "always" and not flags.inspecting:
        if "--run" in flags:
            raise RequestError(f"aero-search {command.config} always runs its whole search: leave --run out")
        flags.given["--multirun"] = None
    if "--multirun" in flags and command.sweep == "none":
        raise RequestError(f"aero-search {command.config} takes no --multirun")
    if "--multirun" in flags and command.sweep == "basic":
        _check_own_process(command, overrides)
    folder = flags.given.get("--config-dir")
    check_overrides(overrides, [Path(folder) if folder else user_conf_dir(), user_conf_dir()])
    if folder:
        check_shadows(Path(folder))
    _check_bundle_config(flags)
    with told(command.config):
        results = _hydra_main(command, flags, overrides)
    if command.finish is not None and not flags.inspecting:
        if not results:  # a launcher that a configuration of the user's chooses
            raise RequestError(_OWN_PROCESS.format(command.config, "hydra/launcher and hydra/sweeper"))
        command.finish(results)
    return 0


def _check_own_process(command: Command, overrides: Sequence[str]) -> None:
    """What other processes would find out is lost to the one that prints it.

    Raises:
        RequestError: a launcher or a sweeper is chosen.
    """
    for argument in overrides:
        name, _, option = argument.lstrip("+~").partition("=")
        if name in ("hydra/launcher", "hydra/sweeper") and option != "basic":
            raise RequestError(_OWN_PROCESS.format(command.config, argument))


def read_request(cfg: DictConfig, overrides: Sequence[str] = ()) -> Request:
    """Resolve a composed configuration into a Request.

    Raises:
        RequestError: an interpolation or a missing value, in one sentence.
    """
    with composing():
        composed = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(composed, dict)
    return Request({str(key): value for key, value in composed.items()}, tuple(overrides))


@contextmanager
def told(config_name: str | None) -> Iterator[None]:
    """Turn what goes wrong with a request into a RequestError of one sentence, see `hydra_errors.sentence`.

    Until the work begins that is whatever is raised; later, what Hydra and OmegaConf raise.
    """
    try:
        yield
    except (AeroSearchError, ModuleNotFoundError):  # a package that is missing: the command line says which
        raise
    except Exception as problem:
        if unforeseen.is_reading() or isinstance(problem, HydraException | OmegaConfBaseException):
            raise RequestError(sentence(problem, config_name)) from problem
        raise


@contextmanager
def quiet_hydra(given: Sequence[str]) -> Iterator[list[str]]:
    """Overrides that keep Hydra from writing logs and folders, and let it find the user's own groups.

    Args:
        given: the user's overrides; a search path among them is left as it is.
    """
    quiet = list(_QUIET_HYDRA)
    if user_conf_dir().is_dir() and not any(line.startswith("hydra.searchpath=") for line in given):
        quiet.append(f"hydra.searchpath=[{quoted(f'file://{user_conf_dir().resolve()}')}]")
    # Hydra's basic sweeper leaves a multirun.yaml in its folder.
    typed = {argument.lstrip("+~").partition("=")[0] for argument in given}
    with files_as_data(typed), tempfile.TemporaryDirectory(prefix="aero-search-") as scratch:
        yield [*quiet, *(f"{name}={scratch}" for name in _HYDRA_FOLDERS)]


def _hydra_main(command: Command, flags: Flags, overrides: Sequence[str]) -> list[Any]:
    import hydra
    from hydra.core.hydra_config import HydraConfig

    results: list[Any] = []
    problems: list[Exception] = []
    output_dirs: list[Path] = []
    doing = f"running aero-search {command.config}"

    def task(cfg: DictConfig) -> None:
        # Hydra announces what a job raises; ours are told once, by the command line.
        try:
            request = read_request(cfg, HydraConfig.get().overrides.task)
            output_dirs.append(request.output_dir)
            unforeseen.start_working(doing, request.output_dir)
            results.append(command.run(request))
        except Exception as problem:
            problems.append(problem)
        finally:
            # The next request of a sweep is composed now.
            unforeseen.start_reading()

    # Hydra prints a traceback and exits unless told to let the exception through to us.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    saved = sys.argv
    entry = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command.config)
    with quiet_hydra(overrides) as quiet:
        sys.argv = [f"aero-search {command.config}", *flags.arguments(), *overrides, *quiet]
        try:
            with _inspected() if flags.inspecting else nullcontext():
                entry(task)()
        finally:
            sys.argv = saved
    if output_dirs:
        unforeseen.start_working(doing, output_dirs[0])
    if problems:
        raise problems[0]
    return results


@contextmanager
def _inspected() -> Iterator[None]:
    """Print what Hydra tells about the configuration without its passwords, and as visible text."""
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            yield
    finally:
        if text := said.getvalue().removesuffix("\n"):
            print_line(masked(text))


def _shorthand(argument: str, spellings: Mapping[str, str]) -> str:
    """`study=NAME` is short for `study.name=NAME`; a command may have spellings of its own."""
    for pattern, replacement in {r"^study=": "study.name=", **spellings}.items():
        argument = re.sub(pattern, replacement, argument)
    # Shells expand `~` in few arguments, and Hydra's grammar has no such letter in a value.
    if at_home := _AT_HOME.fullmatch(argument):
        return f"{at_home[1]}{quoted(str(user_path(at_home[2])))}"
    return argument


def _check_bundle_config(flags: Flags) -> None:
    """Refuse a bundle's configuration that would make Hydra run something, before Hydra reads it.

    A bundle may be a stranger's, and its card says to train from it with --config-dir and --config-name.

    Raises:
        AeroSearchError: the file is not plain data, or not what the bundle's manifest says.
    """
    folder, name = flags.given.get("--config-dir"), flags.given.get("--config-name")
    if folder and name and (Path(folder) / MANIFEST_FILE).is_file():
        try:
            check_manifest(Path(folder))
            file = f"{name.removesuffix('.yaml')}.yaml"
            if file == ARCHITECTURE_FILE:
                raise RequestError(
                    f"--config-name {name} names an architecture alone: write architecture={Path(folder) / file}"
                )
            read_yaml(Path(folder), file, LARGEST[CONFIG_FILE])
        except AeroSearchError as problem:
            raise RequestError(str(problem)) from problem
