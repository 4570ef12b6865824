"""The simulator: its clock on trainings whose times are known, and the same decisions as real workers."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aero_search.architecture import notation
from aero_search.search import worker as real
from aero_search.search.candidate import Candidate
from aero_search.search.spec import RungsSpec, SamplerSpec, SearchSpec
from aero_search.search.study import Study
from aero_search.search.worker import Plan, Worker
from aero_search.tracking.spec import TrackingSpec
from aero_search.training.result import Result
from aero_search.workers.database import create_study, open_storage
from aero_search.workers.trial_queue import FileLease
from benchmarks.simulator import Curve, StudySearcher, Training, open_study, replay, simulate
from benchmarks.tasks import OBJECTIVE, Outcome, Synthetic, Task

TASK = Synthetic()
Step = tuple[str, str, int | None, tuple[tuple[int, float], ...]]


def spec(sampler: str, rungs: str, trials: int, workers: int = 1, seed: int = 0) -> SearchSpec:
    return SearchSpec(SamplerSpec(sampler), trials, workers, 1, seed, RungsSpec(rungs))  # type: ignore[arg-type]


def story(study: Study) -> list[Step]:
    """What was trained, in order: candidate, verdict, what it went on with, and its curve."""
    return [
        (
            trial.user_attrs["candidate"],
            trial.user_attrs["verdict"],
            trial.user_attrs.get("resumes"),
            tuple((step, value) for step, value in trial.user_attrs["curve"]),
        )
        for trial in study.study.get_trials(deepcopy=False)
        if "verdict" in trial.user_attrs
    ]


def really(task: Task, search: SearchSpec, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """The study of a real worker on a database on disk, whose trainings are the task's."""
    kept: dict[str, int] = {}

    def train(
        candidate: Candidate, _c: Any, _f: Any, _t: Any, listeners: Sequence[Any], *rest: Any
    ) -> Result:
        outcome = task.train(candidate, search.seed)
        whole = task.result(candidate, outcome)
        halt = rest[2] if len(rest) > 2 else None
        resumed = kept.get(candidate.identity, 0)
        for i, point in enumerate(whole.curve):
            for listener in listeners:
                listener.validated(point, [])
            ends = i + 1 == len(whole.curve) and outcome.verdict != "diverged"
            if i >= resumed and halt is not None and not ends and (reason := halt(point)):
                kept[candidate.identity] = i + 1
                seen = whole.curve[: i + 1]
                return replace(
                    whole, verdict="stopped", reason=reason, perplexity=point.perplexity, curve=seen
                )
        return whole

    monkeypatch.setattr(real, "train_candidate", train)
    monkeypatch.setattr(real.Corpus, "open", lambda folder: None)
    plan = Plan(
        name="real",
        output_dir=folder,
        objective=OBJECTIVE,
        protocol=task.pricing.protocol,
        network=task.pricing.network,
        space=task.space,
        search=search,
        tracking=TrackingSpec("none", None, "test"),
        corpus_folder=folder,
    )
    create_study(open_storage(folder), "real", OBJECTIVE.metrics)
    study = plan.open_study()
    study.set_attrs(
        reference={
            "unigram_perplexity": task.reference.unigram_perplexity,
            "costs": dict(task.reference.costs),
        }
    )
    Worker(plan, task.compose, "", os.getpid(), socket.gethostname()).run()
    return study


@pytest.mark.parametrize("rungs", ["none", "dominance", "asha"])
@pytest.mark.parametrize("sampler", ["tpe", pytest.param("known_cost", marks=pytest.mark.slow)])
def test_a_real_worker_makes_the_same_decisions(
    sampler: str, rungs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = spec(sampler, rungs, 18, seed=3)
    simulated = open_study(TASK, tmp_path / "simulated")
    with FileLease(simulated.folder / "workers") as lock:
        simulate(TASK, StudySearcher(simulated, search, TASK, lock), search.seed, 1)
    told = story(really(TASK, search, tmp_path / "real", monkeypatch))
    assert told == story(simulated)
    verdicts = {verdict for _, verdict, *_ in told}
    assert ("stopped" in verdicts) == (rungs != "none")
    if rungs == "asha":
        assert any(resumes is not None for _, _, resumes, _ in told)


def test_the_same_search_twice_is_the_same() -> None:
    search = spec("random", "dominance", 12, workers=3, seed=4)
    first, again = replay(TASK, search), replay(TASK, search)
    assert replace(first, ask=0.0) == replace(again, ask=0.0)


class Scripted:
    """Hands out trainings with given times and stops those it is told to."""

    def __init__(
        self, stops: dict[int, int], resumes: Sequence[tuple[int, int]] = (), count: int = 3
    ) -> None:
        self.judges = True
        self.stops, self.todo = stops, [Training(i, candidate(i)) for i in range(count)]
        self.todo += [Training(count + i, candidate(old), old) for i, (old, _) in enumerate(resumes)]
        self.heard: list[tuple[int, int]] = []
        self.ends: list[tuple[int, str, float]] = []

    def next(self) -> Training | None:
        return self.todo.pop(0) if self.todo else None

    def goes_on(self, number: int, curve: Curve) -> bool:
        self.heard.append((number, len(curve)))
        return self.stops.get(number) != len(curve)

    def ended(self, number: int, candidate: Candidate, outcome: Outcome) -> None:
        self.ends.append((number, outcome.verdict, outcome.seconds))


def candidate(seed: int) -> Candidate:
    import numpy as np

    from aero_search.search.known_cost.draws import draw

    return TASK.compose(TASK.space.overrides(draw(TASK.space, np.random.default_rng(seed))))


class Timed(Synthetic):
    """Every training has four validations, ten seconds apart, and ends with the last; some diverge."""

    def __init__(self, diverging: Sequence[Candidate] = ()) -> None:
        super().__init__()
        self.diverging = {c.identity for c in diverging}

    def train(self, candidate: Candidate, seed: int) -> Outcome:
        curve = tuple((300 * i, 400.0 / i, 10.0 * i) for i in (1, 2, 3, 4))
        if candidate.identity in self.diverging:
            return Outcome("diverged", None, None, 25.0, curve[:2])
        return Outcome("finished", 100.0, 100.0, 40.0, curve)


def test_two_workers_take_turns_on_the_simulated_clock() -> None:
    searcher = Scripted({1: 2})
    done = simulate(Timed(), searcher, 0, 2)
    # 0 and 1 begin at 0; 1 is stopped at 20, so 2 runs from 20 to 60.
    assert searcher.ends == [(1, "stopped", 20.0), (0, "finished", 40.0), (2, "finished", 40.0)]
    assert done.wall == (20.0, 40.0, 60.0)
    assert done.spent == (20.0, 60.0, 100.0)
    assert done.trained == (1, 2, 3)
    assert done.hypervolumes[0] == 0.0 < done.hypervolumes[1]
    # The end itself is not a validation to be judged.
    assert {n for number, n in searcher.heard if number == 0} == {1, 2, 3}


def test_a_stopped_training_goes_on_where_it_was() -> None:
    searcher = Scripted({0: 2}, resumes=[(0, 2)], count=1)
    done = simulate(Timed(), searcher, 0, 1)
    assert searcher.ends == [(0, "stopped", 20.0), (1, "finished", 40.0)]
    assert searcher.heard == [(0, 1), (0, 2), (1, 3)]
    assert done.wall == done.spent == (20.0, 40.0)
    assert done.trained == (1, 1)
    assert (done.stopped, done.missed) == (0, 0)


def test_a_diverging_training_is_heard_until_it_diverges() -> None:
    searcher = Scripted({}, count=1)
    done = simulate(Timed([candidate(0)]), searcher, 0, 1)
    assert searcher.heard == [(0, 1), (0, 2)]
    assert searcher.ends == [(0, "diverged", 25.0)]
    assert (done.lost, done.hypervolumes) == (1, (0.0,))


def test_a_front_point_that_was_stopped_is_missed() -> None:
    # All have the same perplexity, so the cheapest is on the front and hides what costs more everywhere.
    rows = {i: TASK.row(candidate(i), 100.0)[1:] for i in range(3)}
    for stopped in range(3):
        done = simulate(Timed(), Scripted({stopped: 1}), 0, 1)
        beaten = any(
            all(a <= b for a, b in zip(rows[other], rows[stopped], strict=True))
            and rows[other] != rows[stopped]
            for other in rows
            if other != stopped
        )
        twin = any(rows[other] == rows[stopped] for other in rows if other != stopped)
        assert done.stopped == 1
        assert done.missed == (not beaten and not twin), notation(candidate(stopped).architecture)
