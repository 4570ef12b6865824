"""How this program was called, so that the next command it prints can be typed as printed."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

NAME = "aero-search"
# In what is read elsewhere and later, such as a page or a card, the name stands bare; this sentence goes with it.
BARE = f"{NAME} is the command of an installed AERO Search; in a checkout it is .venv/bin/{NAME}."
_ROOT = Path(__file__).resolve().parent.parent
_CHECKOUT = (_ROOT / "pyproject.toml").is_file()


def typed(line: str = "", words: Sequence[str] | None = None) -> str:
    """A command line of this program as its user would type it: `typed("ui")`.

    The program is spelt as it was typed: `python -m aero_search`, a path such as `.venv/bin/aero-search`, or its
    bare name where that is on the path.

    Args:
        line: what follows the program.
        words: the command line of the process; `sys.orig_argv` if None.
    """
    return f"{_program(sys.orig_argv if words is None else words)} {line}".rstrip()


def retyped(line: str) -> str:
    """A line that was kept with the bare name, as `typed` would spell it now."""
    return typed(line.removeprefix(f"{NAME} "))


def _program(words: Sequence[str]) -> str:
    for at, word in enumerate(words):
        if word == "-m" and list(words[at + 1 : at + 2]) == ["aero_search"]:
            return shlex.join(words[: at + 2])
        if Path(word).name == NAME:
            found = shutil.which(NAME)
            same = found is not None and Path(found).resolve() == Path(word).resolve()
            return NAME if same else shlex.quote(word)
    return NAME


def quoted(text: str) -> str:
    """A value as Hydra's grammar writes one whatever characters it has."""
    escaped = re.sub(r"(\\+)(?='|$)", r"\1\1", text).replace("'", "\\'")
    return f"'{escaped}'"


def output_option(output_dir: Path) -> str:
    """What a further command needs so that it looks into the same folder; empty for the default one.

    It is written for a shell, and within that for Hydra's grammar, to which a comma is a sweep.
    """
    folder = str(output_dir)
    if output_dir.resolve() == Path("outputs").resolve():
        return ""
    plain = re.fullmatch(r"[\w./+@-]+", folder, re.ASCII)
    return f" output_dir={folder if plain else shlex.quote(quoted(folder))}"


def install(extra: str = "") -> str:
    """The line that installs this package, or one of its extras, into the environment that is running.

    The package is on no index: in a checkout the line names the checkout and the versions that are tested together.
    """
    part = f"[{extra}]" if extra else ""
    pip = f"{shlex.quote(_here(sys.executable))} -m pip install"
    if not _CHECKOUT:
        return f"{pip} '{NAME}{part}'"
    pins = shlex.quote(_here(_ROOT / "constraints.txt"))
    return f"{pip} --constraint {pins} --editable {shlex.quote(_here(_ROOT) + part)}"


def install_mpc() -> str:
    """The line that builds an environment with the extra `mpc`, which needs an older numpy than the rest."""
    python = shlex.quote(_here(_ROOT / ".venv-mpc/bin/python")) if _CHECKOUT else ".venv-mpc/bin/python"
    pip = f"python3.11 -m venv .venv-mpc && {python} -m pip install '{NAME}[mpc]'"
    where = "" if _here(_ROOT) == "." else f" -C {shlex.quote(_here(_ROOT))}"
    build = f"make{where} mpc" if _CHECKOUT else pip
    return f"`{build}` builds an environment of its own; then say measure.python={python}"


def _here(path: str | Path) -> str:
    """A path as seen from the current folder where it lies below that."""
    try:
        return str(Path(path).absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
