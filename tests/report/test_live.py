"""The live view on a terminal and off one."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from studies import STUDY

from aero_search.report import live
from aero_search.report.live import LiveView, Snapshot, render, time_left
from aero_search.training.progress import Progress

RUNNING = (
    Progress("EReg(SM(t) + ScFuFFN_i2) [regularizer.weight=0.0035]", 600, 1200, 4.412, 88.1),
    Progress("SM + LN + R", 0, 1200, None, None),
)


@pytest.fixture
def snapshot(make_front: Any) -> Snapshot:
    return Snapshot(
        study="proxy", budget=24, done=17, stopped=2, diverged=2, duplicates=1, running=RUNNING,
        front=make_front(), started=time.time() - 431, seconds=(70.0, 80.0), workers=2,
    )  # fmt: skip


def drawn(snapshot: Snapshot, width: int = 80) -> str:
    stream = StringIO()
    Console(file=stream, width=width).print(render(snapshot, time.time()))
    return stream.getvalue()


def test_the_view_says_everything_in_eighty_columns(snapshot: Snapshot) -> None:
    text = drawn(snapshot)
    assert max(map(len, text.splitlines())) <= 80
    for part in (
        "proxy  7 min 11 s, about 4 min 04 s left", "17 of 24 trained", "2 running", "2 diverged",
        "step 600/1,200", "loss 4.412", "hypervolume 0.1257", "65.90", "1.21 s 2.4x",
    ):  # fmt: skip
        assert part in " ".join(text.split("\n")), part
    assert drawn(replace(snapshot, front=None, running=(), seconds=()))


def test_long_fronts_show_ends_and_knee(snapshot: Snapshot, make_front: Any) -> None:
    rows = [("SM", "finished", 100.0 - i, 0.2 + 0.02 * i, 1.0, 1.0, 1.0, 0.001) for i in range(30)]
    front = make_front(("latency_s",), rows)
    lines = [
        line for line in drawn(replace(snapshot, front=front)).splitlines() if "ppl " in line and "#" in line
    ]
    assert len(lines) == 10
    assert "#0 " in lines[0]
    assert "#29 " in lines[-1]
    assert any("◆" in line for line in lines)


def test_time_left(snapshot: Snapshot) -> None:
    now = snapshot.started + 100
    # 7 candidates of 75 s are left, one of them half done, on two workers.
    assert time_left(snapshot, now) == pytest.approx(6.5 * 75 / 2)
    # Before the first is finished, the running ones' pace counts: 0.5 candidates in 100 s on two workers.
    early = replace(snapshot, seconds=(), done=0, budget=2)
    assert time_left(early, now) == pytest.approx(400)
    assert time_left(replace(early, running=()), now) is None
    # The last candidate runs alone on however many workers.
    last = replace(snapshot, done=23, running=RUNNING[1:], workers=8)
    assert time_left(last, now) == pytest.approx(75)
    assert time_left(replace(snapshot, done=24, running=()), now) == 0


def test_off_a_terminal_only_news_is_printed(make_front: Any, snapshot: Snapshot) -> None:
    counts = iter([14, 14, 15, 16, 17])
    now = [14]

    def take() -> Snapshot:
        now[0] = next(counts, now[0])
        return replace(snapshot, front=make_front(rows=STUDY[: now[0]]), done=now[0])

    stream = StringIO()
    with LiveView(take, Console(file=stream, width=40), interval=0.01):
        time.sleep(0.3)
    assert stream.getvalue().splitlines() == [
        "proxy: 14 of 24 trained · 2 running · 2 stopped · 2 diverged · 1 duplicate",
        "[15/24] SM + FFN_i4  #14  perplexity 410.00, 873 ms, 1 min 28 s",
        "[16/24] SM  #15  diverged at step 231, learning rate 0.004",
        "[17/24] SM + G  #16  diverged at step 231, learning rate 0.0038",
    ]


def test_two_that_end_between_two_looks_have_a_number_each(make_front: Any, snapshot: Snapshot) -> None:
    counts = iter([14, 16])

    def take() -> Snapshot:
        done = next(counts, 16)
        return replace(snapshot, front=make_front(rows=STUDY[:done]), done=done)

    stream = StringIO()
    with LiveView(take, Console(file=stream, width=40), interval=0.01):
        time.sleep(0.1)
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["proxy:", "[15/24]", "[16/24]"]


def test_what_ends_between_the_last_look_and_the_exit_is_told(make_front: Any, snapshot: Snapshot) -> None:
    rows = [STUDY[:2]]
    stream = StringIO()
    with LiveView(
        lambda: replace(snapshot, front=make_front(rows=rows[0])), Console(file=stream), interval=60
    ):
        rows[0] = STUDY[:3]
    assert "SM + R  #2" in stream.getvalue()


def test_a_slow_look_costs_a_log_no_candidate(
    make_front: Any, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine a look outlived the wait at the end, and the candidate that ended last was not told."""
    monkeypatch.setattr(live, "SCREEN_S", 0.0)
    looking, go_on = threading.Event(), threading.Event()
    rows, looks = [STUDY[:2]], iter(range(100))

    def look() -> Snapshot:
        seen = rows[0]
        if next(looks) == 1:
            looking.set()
            go_on.wait()
        return replace(snapshot, front=make_front(rows=seen))

    stream = StringIO()
    with LiveView(look, Console(file=stream), interval=0.01):
        looking.wait()
        rows[0] = STUDY[:3]
        threading.Timer(0.2, go_on.set).start()
    assert "SM + R  #2" in stream.getvalue()


def test_looks_leave_the_processor_to_the_workers() -> None:
    assert [live.rest(took, drawn=True) for took in (0.0, 0.1, 9.0)] == [1.0, 2.0, 5.0]
    assert live.rest(0.0, drawn=False) == 5.0


def test_a_terminal_is_drawn_and_restored(snapshot: Snapshot) -> None:
    stream = StringIO()
    with LiveView(lambda: snapshot, Console(file=stream, force_terminal=True, width=100), interval=0.02):
        time.sleep(0.1)
    text = stream.getvalue()
    assert "hypervolume" in text
    assert text.count("\x1b[?25l") == 1
    # The cursor is back, last of all but the erased lines.
    assert "\x1b[?25h" in text[text.rindex("hypervolume") :]


def test_the_terminal_is_restored_when_the_search_breaks(snapshot: Snapshot) -> None:
    stream = StringIO()
    view = LiveView(lambda: snapshot, Console(file=stream, force_terminal=True), interval=0.02)
    with pytest.raises(KeyboardInterrupt), view:
        raise KeyboardInterrupt
    assert "\x1b[?25h" in stream.getvalue()


def test_the_terminal_is_restored_when_the_first_look_is_interrupted() -> None:
    def take() -> Snapshot:
        raise KeyboardInterrupt

    stream = StringIO()
    with pytest.raises(KeyboardInterrupt), LiveView(take, Console(file=stream, force_terminal=True)):
        pass
    assert "\x1b[?25h" in stream.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_snapshot_that_raises_is_no_ones_problem(snapshot: Snapshot, terminal: bool) -> None:
    calls, often = [0], threading.Event()

    def take() -> Snapshot:
        calls[0] += 1
        if calls[0] > 3:
            often.set()
        if calls[0] != 2:
            raise OSError("database is locked")
        return snapshot

    stream = StringIO()
    with LiveView(take, Console(file=stream, force_terminal=terminal, width=100), interval=0.01):
        assert often.wait(60)
    assert "Traceback" not in stream.getvalue()
    if terminal:
        # The last good view stays, and says that it is old.
        assert "not up to date: OSError: database is locked" in stream.getvalue()
    else:
        assert stream.getvalue().startswith("proxy: 17 of 24 trained")
        assert len(stream.getvalue().splitlines()) == 1


def test_off_a_terminal_a_long_silence_is_broken(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = replace(snapshot, done=0, running=(), front=None, stopped=0, diverged=0, duplicates=0, over=51)
    for quiet_s, said in ((0.0, 2), (1e6, 1)):
        monkeypatch.setattr(live, "QUIET_S", quiet_s)
        stream = StringIO()
        with LiveView(lambda: busy, Console(file=stream, width=100), interval=1e6):
            pass
        # At the beginning in any case.
        assert stream.getvalue().count("proxy: 0 of 24 trained · 0 running · 51 above a limit") == said


def test_workers_that_load_are_said_to(snapshot: Snapshot) -> None:
    idle = replace(snapshot, done=0, running=(), front=None, stopped=0, diverged=0, duplicates=0)
    assert "0 of 24 trained · workers are starting" in drawn(idle)
