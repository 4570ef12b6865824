"""Samplers side by side: hypervolume against trainings and against simulated time, medians over seeds.

The searches run on the study's own claims, rungs and tells (benchmarks/simulator.py), with trainings looked up in
the table of real ones, or made up by the synthetic task. Every finished search is a line of
outputs/benchmarks/samplers/TASK.jsonl, so the command goes on where it was stopped; --minutes stops it by itself.

    OMP_NUM_THREADS=1 python -m benchmarks.samplers [--task table] [--seeds 20] [--slow-seeds 5] [--workers 2]
        [--only random,tpe] [--minutes 12] [--output benchmarks/results]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

from aero_search.console import make_console, progress_bars
from aero_search.errors import AeroSearchError, RequestError
from aero_search.schema import from_mapping, to_mapping
from aero_search.search.spec import RungsSpec, SamplerSpec, SearchSpec
from benchmarks.comparison import Contender, report
from benchmarks.curves import draw
from benchmarks.mo_asha import MoAsha
from benchmarks.shipped import shipped
from benchmarks.simulator import Replay, replay, simulate
from benchmarks.table import Table
from benchmarks.tasks import Synthetic, Task
from benchmarks.write_report import say

CACHE = Path("outputs/benchmarks/samplers")


def _sampler(name: str) -> SamplerSpec:
    return shipped(SamplerSpec, "search/sampler", name)


def _rungs(name: str) -> RungsSpec:
    return shipped(RungsSpec, "search/rungs", name)


CONTENDERS = (
    Contender("random", "random", _sampler("random"), cheap=True),
    Contender("nsga2", "NSGA-II", _sampler("nsga2"), cheap=True),
    Contender("tpe", "TPE, multivariate", _sampler("tpe"), cheap=True),
    Contender("gp", "GPSampler", _sampler("gp"), slow=True),
    Contender("mo_asha", "MO-ASHA (syne-tune)", None, cheap=True),
    Contender("tpe+rungs", "TPE, our rungs", _sampler("tpe"), _rungs("dominance"), cheap=True),
    Contender("known_cost", "known_cost", _sampler("known_cost")),
    Contender("known_cost/s", "known_cost, a second", replace(_sampler("known_cost"), per_second=True)),
    Contender("known_cost+asha", "known_cost, asha", _sampler("known_cost"), _rungs("asha")),
    Contender("known_cost+rungs", "known_cost, rungs", _sampler("known_cost"), _rungs("dominance")),
)


@dataclass(frozen=True)
class Budget:
    """How much is compared.

    Attributes:
        trials: of a search.
        cheap_trials: of one that goes on, to see when it comes where the others are.
        seeds: searches each; slow_seeds: of one whose asks take seconds.
    """

    trials: int
    cheap_trials: int
    seeds: int
    slow_seeds: int
    workers: int

    def of(self, contender: Contender) -> tuple[int, int]:
        """Seeds and trials of a contender."""
        return (
            self.slow_seeds if contender.slow else self.seeds,
            self.cheap_trials if contender.cheap else self.trials,
        )


class Kept:
    """The searches that are done, one JSON line each; a line that was cut off is passed over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: dict[str, Replay] = {}
        for line in path.read_text().splitlines() if path.is_file() else ():
            try:
                said = json.loads(line)
                self._done[said["search"]] = from_mapping(Replay, said["replay"])
            except (ValueError, KeyError, RequestError):
                continue

    def get(self, search: str) -> Replay | None:
        return self._done.get(search)

    def add(self, search: str, done: Replay) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # A newline before as well: the line before may have been cut off.
        with self._path.open("a") as file:
            file.write("\n" + json.dumps({"search": search, "replay": to_mapping(done)}) + "\n")
        self._done[search] = done


def search(task: Task, contender: Contender, seed: int, trials: int, workers: int) -> Replay:
    """One search."""
    if contender.sampler is None:
        validations = task.recipe.steps // task.recipe.validate_every
        return simulate(task, MoAsha(task, seed, trials, validations), seed, workers)
    spec = SearchSpec(contender.sampler, trials, workers, threads=1, seed=seed, rungs=contender.rungs)
    return replay(task, spec)


def searches(
    task: Task, contenders: Sequence[Contender], budget: Budget, kept: Kept, until: float
) -> Mapping[str, list[Replay]]:
    """Every search of every contender, done now where it is not kept; what there is no time for is missing."""
    runs: dict[str, list[Replay]] = {contender.name: [] for contender in contenders}
    # Seed by seed, so that what is there when the time is up compares the same seeds.
    plan = [
        (seed, contender, budget.of(contender)[1])
        for seed in range(max(budget.seeds, budget.slow_seeds))
        for contender in contenders
        if seed < budget.of(contender)[0]
    ]
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with progress_bars(make_console(stderr=True), *columns) as progress:
        bar = progress.add_task("searches", total=len(plan))
        for seed, contender, trials in plan:
            progress.update(bar, description=f"{contender.name}, seed {seed}")
            said = asdict(contender.sampler) if contender.sampler else contender.name
            name = json.dumps(
                [task.name, task.version, said, asdict(contender.rungs), seed, trials, budget.workers]
            )
            done = kept.get(name)
            if done is None and time.monotonic() < until:
                done = search(task, contender, seed, trials, budget.workers)
                kept.add(name, done)
            if done is not None:
                runs[contender.name].append(done)
            progress.advance(bar)
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--task", choices=("table", "synthetic"), default="table")
    parser.add_argument("--table", type=Path, help="folder of a table that is not the committed one")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--cheap-trials", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--slow-seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", help="names, with commas between")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no search after these")
    parser.add_argument("--output", type=Path, help="folder for the tables and the picture")
    arguments = parser.parse_args()
    names = arguments.only.split(",") if arguments.only else [c.name for c in CONTENDERS]
    contenders = [contender for contender in CONTENDERS if contender.name in names]
    budget = Budget(
        arguments.trials, arguments.cheap_trials, arguments.seeds, arguments.slow_seeds, arguments.workers
    )
    until = time.monotonic() + 60 * arguments.minutes
    try:
        if arguments.task == "synthetic":
            task: Task = Synthetic()
        else:
            task = Table(arguments.table) if arguments.table else Table()
        runs = searches(task, contenders, budget, Kept(CACHE / f"{task.name}.jsonl"), until)
    except AeroSearchError as problem:
        sys.exit(str(problem))
    there = [contender for contender in contenders if runs[contender.name]]
    if not there:
        sys.exit("no search is done yet: give it more --minutes")
    to = arguments.output / f"samplers_{task.name}.txt" if arguments.output else None
    say(report(task, there, runs, budget.workers), to, "OMP_NUM_THREADS=1 python -m benchmarks.samplers")
    if to:
        draw(task, there, runs, to.with_suffix(".png"))


if __name__ == "__main__":
    main()
