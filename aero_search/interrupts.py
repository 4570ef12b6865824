"""Signals that end a command as Ctrl-C does, wherever in the program they arrive."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

# Later than the collection of an object that an interrupt fell into.
_AGAIN_SECONDS = 0.05


@contextlib.contextmanager
def ended_by_signals(came: list[signal.Signals]) -> Iterator[None]:
    """A closed terminal, a supervisor or a scheduler interrupts the command as the keyboard does.

    What is raised while Python collects an object is printed and dropped. An interrupt that falls there, Ctrl-C
    too, is raised again a moment later.

    Args:
        came: gets the signals that did.
    """

    def end(number: int, _: FrameType | None) -> None:
        came.append(signal.Signals(number))
        raise KeyboardInterrupt

    def end_again(number: int, _: FrameType | None) -> None:
        raise KeyboardInterrupt

    def put_off(dropped: sys.UnraisableHookArgs) -> None:
        if isinstance(dropped.exc_value, KeyboardInterrupt):
            # Not a thread, whose locks the code that was interrupted may hold.
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
        else:
            shown(dropped)

    # Signals have handlers in the main thread alone; one that is ignored (nohup) stays so.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}
    for name, handler in {"SIGHUP": end, "SIGTERM": end, "SIGUSR1": end, "SIGALRM": end_again}.items():
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            before[number] = signal.signal(number, handler)
    shown = sys.unraisablehook
    if hasattr(signal, "SIGALRM") and signal.SIGALRM in before:
        sys.unraisablehook = put_off
    try:
        yield
    finally:
        if sys.unraisablehook is put_off:
            sys.unraisablehook = shown
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, theirs in before.items():
            signal.signal(number, theirs)
