"""What a command says while it says nothing else: at first, after half a minute, and never in a program."""

from __future__ import annotations

import sys
import time

import pytest

from aero_search import waiting
from aero_search.cli import main
from aero_search.waiting import AGAIN_S, FIRST_S, QUIET, Silence, doing, listening


class Clock:
    """A clock that is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def lines(silence: Silence, clock: Clock, seconds: float) -> list[tuple[float, str]]:
    """What is said within so many seconds, looked at every eighth of one."""
    start, found = clock.now, []
    while clock.now < start + seconds:
        clock.now += 0.125
        if line := silence.line():
            found.append((clock.now - start, line))
    return found


def test_the_first_word_comes_within_a_second_and_the_next_half_a_minute_later() -> None:
    clock = Clock()
    silence = Silence(clock)
    silence.doing("loading PyTorch")
    said = lines(silence, clock, 70)
    assert [line for _, line in said] == [
        "loading PyTorch ...",
        "loading PyTorch, 30 s so far ...",
        "loading PyTorch, 60 s so far ...",
    ]
    times = [at for at, _ in said]
    assert times == pytest.approx([FIRST_S, FIRST_S + AGAIN_S, FIRST_S + 2 * AGAIN_S])
    assert FIRST_S < 1


def test_a_command_that_speaks_is_not_spoken_over() -> None:
    clock = Clock()
    silence = Silence(clock)
    silence.doing("loading PyTorch")
    for _ in range(10):
        silence.heard()
        assert lines(silence, clock, 20) == []
    assert len(lines(silence, clock, 20)) == 1


def test_another_thing_that_is_done_is_named_and_one_that_speaks_for_itself_is_not() -> None:
    clock = Clock()
    silence = Silence(clock)
    silence.doing("loading")
    lines(silence, clock, 5)
    silence.doing("drawing")
    assert [line for _, line in lines(silence, clock, 5)] == ["drawing ..."]
    silence.doing(None)
    assert lines(silence, clock, 100) == []


def test_words_go_to_stderr_and_what_is_printed_is_heard(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "FIRST_S", 0.01)
    said = ""
    with listening("reading"):
        while "reading ..." not in said:
            time.sleep(0.01)
            said += capsys.readouterr().err
        doing("writing")
        print("a line")
        silence = waiting._HERE[-1]
        assert silence._known
    assert capsys.readouterr().out == "a line\n"
    # The streams are as they were.
    assert "write" not in vars(sys.stdout) | vars(sys.stderr)
    assert waiting._HERE == []


def test_who_calls_the_command_from_a_program_hears_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[list[Silence]] = []
    monkeypatch.delenv(QUIET)
    monkeypatch.setattr(
        "aero_search.config.hydra_main.run_command", lambda *_: heard.append(waiting._HERE[:]) or 0
    )
    assert main(["front"]) == 0
    monkeypatch.setattr(sys, "argv", ["aero-search", "front"])
    assert main() == 0
    monkeypatch.setenv(QUIET, "1")
    assert main() == 0
    monkeypatch.delenv(QUIET)
    monkeypatch.setattr(sys, "argv", ["aero-search", "front", "--help"])
    assert main() == 0
    assert [len(found) for found in heard] == [0, 1, 0, 0]
    assert capsys.readouterr().out == ""
