"""What a benchmark says: on the terminal, and in a file under the command that said it; and of which processor."""

from __future__ import annotations

import platform
import sys
from pathlib import Path


def say(text: str, output: Path | None, command: str) -> None:
    """Print a text that ends with a newline, and write it where a file is named.

    Args:
        command: that was typed, without its arguments.
    """
    print(text, end="")
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(f"$ {' '.join([command, *sys.argv[1:]])}\n\n{text}")


def processor() -> str:
    """The processor's name as /proc tells it, or as Python does."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
