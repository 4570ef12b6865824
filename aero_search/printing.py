"""Text from files and databases as a terminal may be given it: what would steer the terminal is seen instead.

Names, reasons, notations and values of settings may be a stranger's. A control character in one moves the cursor,
sets the window's title or, on some terminals, types a command; a bidirectional control shows a text in another
order than it has (CVE-2021-42574). Both are printed as Python writes them: `\\x1b`, `\\u202e`.
"""

from __future__ import annotations

import re
import sys

__all__ = ["escape_logs", "print_line", "visible"]

# C0 but tab and newline, DEL, C1, the bidirectional controls of Unicode (UAX 9).
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text with an escape for each character that steers a terminal; lines and tabs stay."""
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def print_line(text: str, *, stderr: bool = False) -> None:
    """A line on stdout or stderr that steers nothing, written out at once."""
    print(visible(text), file=sys.stderr if stderr else sys.stdout, flush=True)


def escape_logs() -> None:
    """From now on what this process logs or warns of is visible text, whoever logs it."""
    import logging
    import warnings

    class Record(logging.LogRecord):
        def getMessage(self) -> str:  # noqa: N802  # logging's name
            return visible(super().getMessage())

    def one_warning(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        return visible(written(message, category, filename, lineno, line))

    if logging.getLogRecordFactory() is logging.LogRecord:
        written = warnings.formatwarning
        logging.setLogRecordFactory(Record)
        warnings.formatwarning = one_warning
