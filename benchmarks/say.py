"""What a benchmark says: on the terminal, and in a file under the command that said it."""

from __future__ import annotations

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
