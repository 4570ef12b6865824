"""One study of thousands of trials: what a claim, a rung, a tell and a look of the live view take.

The study lies in SQLite as a search's does; its trials are made up by the synthetic task, told in the same way and
kept under outputs/benchmarks/scale/, so that they are made once. Each figure is the median of several; processor
seconds of this one process, so that a busy machine does not enter, and the first claim of a fresh worker apart. The
rung is a validation reported and judged by `dominance`.

    OMP_NUM_THREADS=1 python -m benchmarks.scale [--trials 10000] [--sampler known_cost] [--output FILE]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState, create_trial
from rich.progress import track

from aero_search.front.front import build_front
from aero_search.schema import to_mapping
from aero_search.search.candidate import Candidate
from aero_search.search.known_cost.draws import distributions, draw
from aero_search.search.spec import RungsSpec, SamplerSpec, SearchSpec
from aero_search.search.study import Study
from aero_search.workers.database import create_study, open_storage
from aero_search.workers.trial_queue import FileLease
from benchmarks.shipped import shipped
from benchmarks.tasks import OBJECTIVE, Synthetic, Task
from benchmarks.write_report import say

FOLDER = Path("outputs/benchmarks/scale")
_BATCH = 250
_ROUNDS = 5


def filled(task: Task, trials: int) -> Study:
    """A study of that many trials, made up where they are missing."""
    name = f"scale-{trials}"
    created = create_study(open_storage(FOLDER), name, OBJECTIVE.metrics)
    study = Study(created, OBJECTIVE, FOLDER / "studies" / name, task.price, task.costs_of_many)
    if "reference" not in created.user_attrs:
        reference = task.reference
        study.set_attrs(
            reference={"unigram_perplexity": reference.unigram_perplexity, "costs": dict(reference.costs)}
        )
    there = len(created.get_trials(deepcopy=False))
    known = distributions(task.space)
    batches = range(there, trials, _BATCH)
    for first in track(batches, "making trials", disable=not batches):
        made = [_made(task, known, number) for number in range(first, min(first + _BATCH, trials))]
        created.add_trials(made)
    return study


def _made(task: Task, known: dict[str, BaseDistribution], number: int) -> optuna.trial.FrozenTrial:
    assignment = draw(task.space, np.random.default_rng(number))
    candidate = task.compose(task.space.overrides(assignment))
    outcome = task.train(candidate, 0)
    costs = dict(task.costs(candidate.architecture))
    curve = [[step, value] for step, value, _ in outcome.curve]
    told = outcome.perplexity or task.reference.unigram_perplexity
    return create_trial(
        state=TrialState.COMPLETE,
        params=dict(assignment),
        distributions={name: known[name] for name in assignment},
        values=[told, *(costs[metric] for metric in OBJECTIVE.costs)],
        user_attrs={
            "worker": "none",
            "notation": candidate.notation,
            "architecture": to_mapping(candidate.architecture),
            "overrides": list(candidate.overrides),
            "lr": candidate.recipe.lr,
            "seed": 0,
            "steps": candidate.recipe.steps,
            "curve": curve,
            "costs": costs,
            "candidate": candidate.identity,
            "verdict": outcome.verdict,
            "reason": "",
            "perplexity": outcome.perplexity,
            "seconds": outcome.seconds,
        },
    )


def measure(task: Task, study: Study, sampler: SamplerSpec, trials: int) -> dict[str, float]:
    """Processor seconds of each thing a worker or the parent does with the study."""
    spec = SearchSpec(sampler, trials + 10_000, workers=1, threads=1, seed=0)
    rungs = RungsSpec("dominance")
    claims, judged, tells, looks = [], [], [], []
    with FileLease(study.folder / "workers") as lock:
        for _ in range(_ROUNDS + 1):
            claim = None

            def take() -> None:
                nonlocal claim
                claim = study.claim(lock, spec, task.space, task.compose)

            claims.append(_seconds(take))
            assert claim is not None
            candidate: Candidate = claim.candidate
            outcome = task.train(candidate, 0)
            result = task.result(candidate, outcome)
            number = claim.trial.number
            first = [(step, value) for step, value, _ in outcome.curve[:2]]

            def judge(n: int = number, curve: list[tuple[int, float]] = first) -> None:
                study.report(n, curve)
                study.judge(n, rungs)

            if first:
                judged.append(_seconds(judge))
            tells.append(_seconds(lambda n=number, r=result: study.tell(n, r)))

            def look() -> None:
                records = study.records()
                build_front(records, OBJECTIVE, task.reference)
                study.left(spec)
                study.duplicates()

            looks.append(_seconds(look))
    return {
        "first claim of a worker": claims[0],
        "claim": statistics.median(claims[1:]),
        "rung": statistics.median(judged[1:] or judged),
        "tell": statistics.median(tells[1:]),
        "first look": looks[0],
        "look of the live view": statistics.median(looks[1:]),
    }


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--sampler", default="known_cost,tpe,random")
    parser.add_argument("--output", type=Path, help="also write the table here")
    arguments = parser.parse_args()
    task = Synthetic()
    lines: list[str] = []
    for name in arguments.sampler.split(","):
        # One study for all of them: each adds the few trials of its measurement.
        study = filled(task, arguments.trials)
        there = len(study.study.get_trials(deepcopy=False))
        found = measure(task, study, shipped(SamplerSpec, "search/sampler", name), there)
        if not lines:
            lines.append(
                f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; processor "
                f"seconds, {arguments.trials:,} trials in one study (SQLite)"
            )
            lines.append(f"{'':14}" + "".join(f"{what:>26}" for what in found))
        lines.append(f"{name:14}" + "".join(f"{seconds:>26.3f}" for seconds in found.values()))
    say("\n".join(lines) + "\n", arguments.output, "OMP_NUM_THREADS=1 python -m benchmarks.scale")


if __name__ == "__main__":
    main()
