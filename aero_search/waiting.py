"""A word on what a command waits for: within a second of its start, and after every half minute of silence.

Imports of a few seconds, a study that is read, a network that is rebuilt: who types a command sees what goes on, on
a terminal and in a log. The words go to stderr, since stdout is what was asked for, and only where nothing else is
said. AERO_SEARCH_QUIET=1 leaves them out.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO

from aero_search.printing import print_line

__all__ = ["QUIET", "Silence", "doing", "listening"]

QUIET = "AERO_SEARCH_QUIET"

# Seconds without a word, of this process or of what it runs: the first is told before a user begins to wonder.
FIRST_S, AGAIN_S = 0.5, 30.0


class Silence:
    """What is done at the moment, and whether the user knows.

    Args:
        clock: seconds, from any origin.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._doing: str | None = None
        self._known = True
        self._since = self._last = clock()
        self._lock = threading.Lock()

    def doing(self, what: str | None) -> None:
        """From now on this is done; None: what is done speaks for itself."""
        with self._lock:
            self._doing, self._known, self._since = what, what is None, self._clock()

    def heard(self) -> None:
        """Something was printed: the user sees that the command lives."""
        with self._lock:
            self._known, self._last = True, self._clock()

    def line(self) -> str | None:
        """What is to be said now, if anything: what is done, or how long it has been."""
        with self._lock:
            now = self._clock()
            if self._doing is None or now - self._last < (AGAIN_S if self._known else FIRST_S):
                return None
            so_far = f", {now - self._since:.0f} s so far" if self._known else ""
            self._known, self._last = True, now
            return f"{self._doing}{so_far} ..."


_HERE: list[Silence] = []


def doing(what: str | None) -> None:
    """Name what the running command does from now on, such as `drawing the page`; None: it speaks for itself."""
    for silence in _HERE:
        silence.doing(what)


@contextlib.contextmanager
def listening(what: str) -> Iterator[None]:
    """While this lasts, silence of this process is explained on stderr; nothing is said in workers and in programs.

    Args:
        what: is done first.
    """
    silence, over = Silence(), threading.Event()

    def watch() -> None:
        while not over.wait(FIRST_S / 4):
            if line := silence.line():
                # A closed stream is the command's affair.
                with contextlib.suppress(OSError, ValueError):
                    print_line(line, stderr=True)

    silence.doing(what)
    _HERE.append(silence)
    with contextlib.ExitStack() as streams:
        for stream in (sys.stdout, sys.stderr):
            streams.enter_context(_heard(stream, silence))
        threading.Thread(target=watch, name="waiting", daemon=True).start()
        try:
            yield
        finally:
            over.set()
            _HERE.remove(silence)


@contextlib.contextmanager
def _heard(stream: IO[str], silence: Silence) -> Iterator[None]:
    """Tell `silence` of everything that is written to a stream.

    An attribute of the stream itself: print looks its method up there, and whoever holds the stream keeps it.
    """
    write = stream.write

    def told(text: str, /) -> int:
        silence.heard()
        return write(text)

    stream.write = told  # type: ignore[method-assign]  # see above
    try:
        yield
    finally:
        del stream.write
