"""What a study's runs are told in the tracking store as its front grows."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from aero_search.app.study import Watching
from aero_search.console import make_console
from aero_search.report.palette import DOMINATED, FRONT
from aero_search.tracking.tracker import Tracker
from tests.front.test_front_membership import record


class Told(Tracker):
    """Remembers what runs are told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str]] = []

    def judge(self, run_id: str, verdict: str, colour: str) -> None:
        self.heard.append((run_id, verdict, colour))


def test_a_seed_has_its_candidate_s_colour_and_a_verdict_of_its_own() -> None:
    study: Any = SimpleNamespace(
        runs=lambda: {0: "zero", 1: "one", 5: "again", 6: "on"}, repeated=lambda: {5: 0, 6: 0}
    )
    tracker = Told()
    watching = Watching(SimpleNamespace(), study, tracker, "parent", make_console())  # type: ignore[arg-type]
    over = replace(record(5, 40.0), state="finished")
    on = replace(record(6, 40.0), state="running")
    watching._judge({0: "front", 1: "dominated"}, [over, on])
    assert tracker.heard == [
        ("zero", "front", FRONT), ("one", "dominated", DOMINATED), ("again", "finished", FRONT),
    ]  # fmt: skip
    # Its candidate has left the front; nothing else has changed.
    watching._judge({0: "dominated", 1: "dominated"}, [over, replace(on, state="diverged")])
    assert tracker.heard[3:] == [
        ("zero", "dominated", DOMINATED), ("again", "finished", DOMINATED), ("on", "diverged", DOMINATED),
    ]  # fmt: skip
