"""Stopped candidates and places made sure by seeds: in tables, view and pictures."""

from __future__ import annotations

import time
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from studies import COSTS, STUDY, record

from aero_search.console import make_console
from aero_search.front.front import Front, build_front
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference
from aero_search.front.record import Record
from aero_search.report.chart import panels
from aero_search.report.front import front_markdown, front_rows, front_summary, print_front
from aero_search.report.live import LiveView, Snapshot, outcome
from aero_search.report.plot import figure_of, plot_front

REASON = "stopped at step 400 of 1,200: #0 costs no more and has 44 % less perplexity there"


@pytest.fixture
def front() -> Front:
    """The study with its last rows stopped, and the first two points of the front trained with three seeds."""
    records: list[Record] = []
    for number, row in enumerate(STUDY):
        r = record(number, row)
        if r.state == "diverged":
            r = replace(r, state="stopped", reason=REASON, curve=((200, 190.0), (400, 130.0)), steps=1200)
        elif number in (0, 1):
            seeds = ((0, r.perplexity), (1, 61.9), (2, None if number else 62.1))
            r = replace(r, replicates=seeds)
        records.append(r)
    objective = Objective(("perplexity", "latency_s", "flops"))
    return build_front(records, objective, Reference(420.0, {m: COSTS[m] for m in objective.costs}))


def text(front: Front, width: int) -> str:
    stream = StringIO()
    print_front(front, make_console(file=stream, width=width))
    return stream.getvalue()


def test_the_table_shows_intervals_and_probabilities(front: Front) -> None:
    membership = front.memberships[0]
    for width in (80, 120):
        shown = text(front, width)
        assert max(map(len, shown.splitlines())) <= width
        assert f"{membership.low:.2f}-{membership.high:.2f}" in shown
        assert "on front" in shown
        assert "…" not in shown
        assert "FLOPs (" in shown  # the last column has its room
    said = " ".join(text(front, 120).split())
    assert "2 stopped at a rung after 33% of their steps" in said
    assert "another seed moves one by" in said
    markdown = front_markdown(front)
    heads, marks, *lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert all(line.count("|") == heads.count("|") == marks.count("|") for line in lines)
    assert "95 % interval" in heads
    rows = front_rows(front)
    assert all(row.keys() == rows[0].keys() for row in rows)
    (row,) = [row for row in rows if row["trial"] == 0]
    assert (row["seeds"], row["perplexity_low"], row["probability"]) == (
        3,
        membership.low,
        membership.probability,
    )


def test_without_seeds_the_table_is_as_it_was(make_front: Any) -> None:
    plain = make_front()
    assert "on front" not in text(plain, 120)
    assert "seeds" not in front_rows(plain)[0]
    assert "stopped" not in front_summary(plain)


def test_near_rivals_are_named(front: Front) -> None:
    # As good a seed later it is dominated, and its chance is still said.
    records = [*front.points, *front.dominated]
    twin = next(r for r in records if r.number == 0)
    rival = replace(twin, number=50, perplexity=62.0, replicates=((0, 61.9), (1, 62.1)), network="another")
    with_rival = build_front([*records, rival], front.objective, front.reference)
    chance = with_rival.memberships[50].probability
    assert 0.01 < chance < 0.99
    assert f"#50 {chance:.0%}" in front_summary(with_rival)


def test_pictures_show_the_stopped_in_the_band(front: Front, tmp_path: Path) -> None:
    for panel in panels(front):
        stopped = [mark for mark in panel.marks if mark.kind == "stopped"]
        assert len(stopped) == 2
        assert panel.band is not None
        assert all(panel.band < mark.y < panel.y.high for mark in stopped)
        assert not any(mark.on_front for mark in stopped)
    written = plot_front(front, tmp_path)
    assert "stopped at a rung" in written["svg"].read_text()
    shown = figure_of(front).to_json()
    assert "stopped at a rung" in shown
    assert "44 % less perplexity there" in shown


def test_the_view_tells_of_the_stopped_and_of_further_seeds(front: Front) -> None:
    stopped = front.stopped[0]
    assert outcome(stopped) == f"{stopped.label}  {REASON}"
    empty = replace(front, points=(), dominated=(), stopped=(), diverged=())
    said = iter([empty, front, front])
    stream = StringIO()

    def snapshot() -> Snapshot:
        return Snapshot(
            study="s", budget=20, done=17, stopped=2, diverged=0, duplicates=0, running=(), front=next(said),
            started=time.time(), seconds=(), replicates=(1, 6),
        )  # fmt: skip

    with LiveView(snapshot, make_console(file=stream, width=200), interval=60):
        pass
    assert stream.getvalue().count(REASON) == 2
