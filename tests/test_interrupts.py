"""A signal ends a command wherever it arrives."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator

import pytest

from aero_search.interrupts import ended_by_signals


class Collected:
    """Gets a signal while Python collects it, where what is raised is dropped."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


@pytest.fixture
def heeded() -> Iterator[None]:
    """Python's own handler of SIGINT, which a shell's background jobs ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def work_without(objects: list[Collected]) -> None:
    objects.clear()
    time.sleep(30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_that_falls_into_a_collection_comes_again(number: signal.Signals, capsys, heeded) -> None:
    came: list[signal.Signals] = []
    handlers = [signal.getsignal(number), signal.getsignal(signal.SIGALRM), sys.unraisablehook]
    gone: list[Collected] = [Collected(number)]
    with pytest.raises(KeyboardInterrupt), ended_by_signals(came):
        work_without(gone)
    assert not gone, "the collection was interrupted instead"
    # Python's own handler takes Ctrl-C.
    assert came == ([] if number == signal.SIGINT else [number])
    assert capsys.readouterr().err == ""
    assert [signal.getsignal(number), signal.getsignal(signal.SIGALRM), sys.unraisablehook] == handlers


def test_other_faults_of_a_collection_are_shown_as_before(monkeypatch) -> None:
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)

    class Faulty:
        def __del__(self) -> None:
            raise ValueError

    with ended_by_signals([]):
        Faulty()
    assert [fault.exc_type for fault in shown] == [ValueError]
