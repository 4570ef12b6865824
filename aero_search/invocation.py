"""How this program was called, so that the next command it prints can be typed as printed."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

NAME = "aero-search"


def typed(line: str = "", words: Sequence[str] | None = None) -> str:
    """A command line of this program as its user would type it: `typed("ui")`.

    The program is spelt as it was typed: `python -m aero_search`, a path such as `.venv/bin/aero-search`, or its
    bare name where that is on the path.

    Args:
        line: what follows the program.
        words: the command line of the process; `sys.orig_argv` if None.
    """
    return f"{_program(sys.orig_argv if words is None else words)} {line}".rstrip()


def _program(words: Sequence[str]) -> str:
    for at, word in enumerate(words):
        if word == "-m" and list(words[at + 1 : at + 2]) == ["aero_search"]:
            return shlex.join(words[: at + 2])
        if Path(word).name == NAME:
            found = shutil.which(NAME)
            same = found is not None and Path(found).resolve() == Path(word).resolve()
            return NAME if same else shlex.quote(word)
    return NAME
