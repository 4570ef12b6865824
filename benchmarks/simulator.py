"""Replays a search in simulated time: the study's own claims and tells, trainings looked up instead of done."""

from __future__ import annotations

import heapq
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import optuna
from optuna.storages import BaseStorage

from aero_search.search.ledger import WorkerLock
from aero_search.search.spec import SamplerSpec, SearchSpec
from aero_search.search.study import Claim, Study
from benchmarks.tasks import OBJECTIVE, Task

optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True)
class Replay:
    """One search.

    Attributes:
        hypervolumes: after each training, in the order of finishing; a share of the reference box.
        wall: simulated seconds at which each ended.
        lost: trainings that diverged or stayed on the plateau.
        ask: mean processor seconds from a worker's being free to its next candidate.
    """

    hypervolumes: tuple[float, ...]
    wall: tuple[float, ...]
    lost: int
    ask: float

    def plain(self) -> dict[str, object]:
        """As JSON data."""
        return asdict(self)


def open_study(task: Task, folder: Path, storage: BaseStorage | None = None) -> Study:
    """A study of a task, by default in memory."""
    created = optuna.create_study(
        storage=storage, study_name=task.name, directions=["minimize"] * len(OBJECTIVE.metrics)
    )
    study = Study(created, OBJECTIVE, folder, task.costs, task.costs_of_many)
    study.set_attrs(
        reference={
            "unigram_perplexity": task.reference.unigram_perplexity,
            "costs": dict(task.reference.costs),
        }
    )
    return study


def replay(task: Task, sampler: SamplerSpec, seed: int, n_trials: int, workers: int = 1) -> Replay:
    """Search a task with asynchronous workers; the same arguments give the same search."""
    spec = SearchSpec(sampler, n_trials, workers, threads=1, seed=seed)
    rows: list[list[float]] = []
    hypervolumes: list[float] = []
    wall: list[float] = []
    now = asked = 0.0
    lost = 0
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = open_study(task, Path(folder))
        training: list[tuple[float, int, Claim]] = []
        with WorkerLock(study.folder / "workers") as lock:
            while True:
                while len(training) < workers:
                    began = time.process_time()
                    claim = study.claim(lock, spec, task.space, task.compose)
                    asked += time.process_time() - began
                    if claim is None:
                        break
                    end = now + task.train(claim.candidate, seed).seconds
                    heapq.heappush(training, (end, claim.trial.number, claim))
                if not training:
                    break
                now, number, claim = heapq.heappop(training)
                outcome = task.train(claim.candidate, seed)
                study.tell(number, task.result(claim.candidate, outcome))
                lost += outcome.verdict != "finished"
                if outcome.judged is not None:
                    costs = task.costs(claim.candidate.architecture)
                    rows.append([outcome.judged, *(costs[metric] for metric in OBJECTIVE.costs)])
                hypervolumes.append(task.reference.hypervolume(rows))
                wall.append(now)
    return Replay(tuple(hypervolumes), tuple(wall), lost, asked / max(len(wall), 1))
