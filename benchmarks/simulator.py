"""Replays a search in simulated time: trainings are looked up instead of done, everything else is the real search.

Workers are asynchronous: each asks for a candidate when it is free, reports the validations at the times that they
came at, and stops where it is told to. What they ask is a `Searcher`: a study with its own claims, rungs and tells,
or another library behind the same questions (benchmarks/mo_asha.py).
"""

from __future__ import annotations

import heapq
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import optuna
from optuna.storages import BaseStorage

from aero_search.front.pareto import nondominated
from aero_search.search.candidate import Candidate
from aero_search.search.spec import SearchSpec
from aero_search.search.study import Study
from aero_search.workers.trial_queue import FileLease
from benchmarks.tasks import OBJECTIVE, Outcome, Task

optuna.logging.set_verbosity(optuna.logging.ERROR)

Curve = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Training:
    """What a free worker is to do.

    Attributes:
        number: names it in further questions.
        resumes: the stopped training that it goes on with, from its last validation.
    """

    number: int
    candidate: Candidate
    resumes: int | None = None


class Searcher(Protocol):
    """What workers ask."""

    # Whether validations are to be reported; else a training is heard of at its end alone.
    judges: bool

    def next(self) -> Training | None:
        """The next training; None when there is none to be had now."""

    def goes_on(self, number: int, curve: Curve) -> bool:
        """Whether a training goes on after the last validation of its curve, which is not its end."""

    def ended(self, number: int, candidate: Candidate, outcome: Outcome) -> None:
        """A training has ended; where the rungs stopped it, the outcome's verdict is `stopped`."""


@dataclass(frozen=True)
class Replay:
    """One search; the sequences have an entry for every training that ended or was stopped, in that order.

    Attributes:
        trained: candidates so far; one that goes on after a stop counts once.
        hypervolumes: of all that had finished; a share of the study's box.
        in_front: the same in the box of the task's front; empty where the task knows none.
        wall: simulated seconds at which it ended.
        spent: training seconds of all workers until then.
        lost: trainings that diverged or stayed on the plateau.
        stopped: candidates that stayed stopped.
        missed: those of them that would be on the front of all that the search began.
        ask: mean processor seconds from a worker's being free to its next candidate.
    """

    trained: tuple[int, ...]
    hypervolumes: tuple[float, ...]
    in_front: tuple[float, ...]
    wall: tuple[float, ...]
    spent: tuple[float, ...]
    lost: int
    stopped: int
    missed: int
    ask: float


class StudySearcher:
    """A study as its own workers ask it.

    Args:
        lock: of the worker in whose name everything is claimed.
    """

    def __init__(self, study: Study, spec: SearchSpec, task: Task, lock: FileLease) -> None:
        self.judges = spec.rungs.name != "none"
        self._study, self._spec, self._task, self._lock = study, spec, task, lock

    def next(self) -> Training | None:
        claim = self._study.claim(self._lock, self._spec, self._task.space, self._task.compose)
        return None if claim is None else Training(claim.trial.number, claim.candidate, claim.resumes)

    def goes_on(self, number: int, curve: Curve) -> bool:
        self._study.report(number, curve)
        return not self._study.judge(number, self._spec.rungs).stop

    def ended(self, number: int, candidate: Candidate, outcome: Outcome) -> None:
        self._study.tell(number, self._task.result(candidate, outcome))


def open_study(task: Task, folder: Path, storage: BaseStorage | None = None) -> Study:
    """A study of a task, by default in memory."""
    created = optuna.create_study(
        storage=storage, study_name=task.name, directions=["minimize"] * len(OBJECTIVE.metrics)
    )
    study = Study(created, OBJECTIVE, folder, task.price, task.costs_of_many)
    study.set_attrs(
        reference={
            "unigram_perplexity": task.reference.unigram_perplexity,
            "costs": dict(task.reference.costs),
        }
    )
    return study


def replay(task: Task, spec: SearchSpec) -> Replay:
    """Search a task with a study; the same arguments give the same search."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = open_study(task, Path(folder))
        with FileLease(study.folder / "workers") as lock:
            return simulate(task, StudySearcher(study, spec, task, lock), spec.seed, spec.workers)


@dataclass
class _Running:
    """A training under way."""

    training: Training
    outcome: Outcome
    heard: int  # validations that its searcher knows
    since: float  # seconds of its own time at which this worker took it up

    @property
    def due(self) -> float:
        """Its own time of the next event: a validation that is to be judged, or the end."""
        return self.outcome.seconds if self.at_end else self.outcome.curve[self.heard][2]

    @property
    def at_end(self) -> bool:
        return self.heard >= len(self.outcome.curve) - (self.outcome.verdict != "diverged")

    def curve(self) -> list[tuple[int, float]]:
        return [(step, perplexity) for step, perplexity, _ in self.outcome.curve[: self.heard]]

    def cut(self) -> Outcome:
        """What it is when it is stopped after the validations that were heard."""
        curve = self.outcome.curve[: self.heard]
        return replace(
            self.outcome, verdict="stopped", perplexity=curve[-1][1], seconds=curve[-1][2], curve=curve
        )


class _Log:
    """Keeps what a replay tells."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._rows: list[list[float]] = []
        self._stopped: dict[int, list[float] | None] = {}
        self._trained: list[int] = []
        self._hypervolumes: list[float] = []
        self._in_front: list[float] = []
        self._wall: list[float] = []
        self._spent: list[float] = []
        self._lost = 0

    def add(self, now: float, running: _Running, outcome: Outcome) -> None:
        number, candidate = running.training.number, running.training.candidate
        judged = running.outcome.judged if running.outcome.verdict == "finished" else None
        row = None if judged is None else self._task.row(candidate, judged)
        self._stopped.pop(-1 if running.training.resumes is None else running.training.resumes, None)
        if outcome.verdict == "stopped":
            self._stopped[number] = row
        elif row is not None:
            self._rows.append(row)
        self._lost += outcome.verdict in ("diverged", "plateau")
        before = self._trained[-1] if self._trained else 0
        self._trained.append(before + (running.training.resumes is None))
        self._hypervolumes.append(self._task.reference.hypervolume(self._rows))
        if self._task.front_box is not None:
            self._in_front.append(self._task.front_box.hypervolume(self._rows))
        self._wall.append(now)
        self._spent.append((self._spent[-1] if self._spent else 0.0) + outcome.seconds - running.since)

    def replay(self, ask: float) -> Replay:
        cut = [row for row in self._stopped.values() if row is not None]
        on_front = nondominated(np.array([*self._rows, *cut])) if cut else np.zeros(0, dtype=bool)
        return Replay(
            trained=tuple(self._trained),
            hypervolumes=tuple(self._hypervolumes),
            in_front=tuple(self._in_front),
            wall=tuple(self._wall),
            spent=tuple(self._spent),
            lost=self._lost,
            stopped=len(self._stopped),
            missed=int(on_front[len(self._rows) :].sum()),
            ask=ask,
        )


def simulate(task: Task, searcher: Searcher, seed: int, workers: int) -> Replay:
    """Let workers ask a searcher until it has nothing left.

    Args:
        seed: of the trainings' noise, where a task has any.
    """
    log = _Log(task)
    queue: list[tuple[float, int, _Running]] = []
    left_off: dict[int, _Running] = {}
    now = asked = 0.0
    count = order = 0
    while True:
        while len(queue) < workers:
            began = time.process_time()
            training = searcher.next()
            asked += time.process_time() - began
            if training is None:
                break
            count += 1
            order += 1
            running = _take_up(task, searcher, seed, training, left_off)
            heapq.heappush(queue, (now + running.due - running.since, order, running))
        if not queue:
            return log.replay(asked / max(count, 1))
        now, _, running = heapq.heappop(queue)
        number = running.training.number
        if running.at_end:
            searcher.ended(number, running.training.candidate, running.outcome)
            log.add(now, running, running.outcome)
            continue
        own = running.due
        running.heard += 1
        if searcher.goes_on(number, running.curve()):
            order += 1
            heapq.heappush(queue, (now + running.due - own, order, running))
        else:
            left_off[number] = running
            searcher.ended(number, running.training.candidate, running.cut())
            log.add(now, running, running.cut())


def _take_up(
    task: Task, searcher: Searcher, seed: int, training: Training, left_off: dict[int, _Running]
) -> _Running:
    outcome = task.train(training.candidate, seed)
    if training.resumes is not None:
        before = left_off[training.resumes]
        return _Running(training, outcome, before.heard, outcome.curve[before.heard - 1][2])
    return _Running(training, outcome, 0 if searcher.judges else len(outcome.curve), 0.0)
