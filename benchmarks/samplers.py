"""How many trainings each sampler needs: hypervolume against trainings, median over seeds.

The searches run on the study's own claims and tells (benchmarks/simulator.py), with trainings looked up: in the
synthetic task until there is a table of real ones, then in that (`table=`). Every finished search is kept under
outputs/benchmarks/samplers/, so the command goes on where it was stopped.

    OMP_NUM_THREADS=1 python -m benchmarks.samplers [n_trials=50] [cheap_trials=150] [workers=1] [seeds=20]
        [slow_seeds=2] [only=known_cost,tpe] [table=FILE.csv space=FILE.yaml unigram=PERPLEXITY] [output=FOLDER]
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rich.progress import Progress

from aero_search.search.spec import SamplerSpec
from benchmarks.simulator import Replay, replay
from benchmarks.tasks import Synthetic, Table, Task

CACHE = Path("outputs/benchmarks/samplers")
# As `conf/search/sampler/*.yaml` ships them. Optuna's GP takes seconds an ask: fewer seeds.
SAMPLERS = {
    "random": SamplerSpec("random"),
    "nsga2": SamplerSpec("nsga2", population_size=8),
    "tpe": SamplerSpec("tpe", n_startup=6),
    "gp": SamplerSpec("gp", n_startup=6),
    "known_cost": SamplerSpec("known_cost", n_startup=6),
    "known_cost per second": SamplerSpec("known_cost", n_startup=6, per_second=True),
}
LABELS = {
    "random": "random",
    "nsga2": "NSGA-II",
    "tpe": "TPE, multivariate",
    "gp": "GPSampler",
    "known_cost": "known_cost",
    "known_cost per second": "known_cost, a second",
}
SLOW = ("gp",)
# Those that ask in milliseconds go on for longer, to see when they come where the others are.
CHEAP = ("random", "nsga2", "tpe")
DEFAULTS = {
    "n_trials": "50",
    "cheap_trials": "150",
    "workers": "1",
    "seeds": "20",
    "slow_seeds": "2",
    "output": "benchmarks/results",
}
OPTIONS = ("only", "table", "space", "unigram")


def read_arguments(arguments: list[str]) -> dict[str, str]:
    """`name=value` pairs over the defaults."""
    said = dict(argument.partition("=")[::2] for argument in arguments)
    unknown = said.keys() - DEFAULTS.keys() - set(OPTIONS)
    if unknown:
        sys.exit(f"{min(unknown)} is no argument: there are {', '.join([*DEFAULTS, *OPTIONS])}")
    return {**DEFAULTS, **said}


def searched(task: Task, name: str, seed: int, n_trials: int, workers: int) -> Replay:
    """One search, or what is kept of it."""
    said = json.dumps([task.name, asdict(SAMPLERS[name]), seed, n_trials, workers], sort_keys=True)
    path = (
        CACHE / f"{task.name}-{name.replace(' ', '_')}-{hashlib.sha256(said.encode()).hexdigest()[:10]}.json"
    )
    if path.is_file():
        data = json.loads(path.read_text())
        return Replay(**{field.name: data[field.name] for field in fields(Replay)})
    done = replay(task, SAMPLERS[name], seed, n_trials, workers)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(done.plain()))
    partial.replace(path)
    return done


def needed(curve: np.ndarray, goal: float) -> str:
    """How many trainings reach a hypervolume."""
    reached = np.flatnonzero(curve >= goal)
    return str(reached[0] + 1) if len(reached) else f">{len(curve)}"


def report(task: Task, runs: dict[str, list[Replay]]) -> str:
    """The tables, as text."""
    curves = {name: np.median([run.hypervolumes for run in done], axis=0) for name, done in runs.items()}
    n = max(len(curve) for curve in curves.values())
    best = task.best or max(max(run.hypervolumes) for done in runs.values() for run in done)
    whence = "of the whole table" if task.best else "that any search here reached"
    marks = [k for k in (10, 20, 30, 40, 60, 80, 100, 150, 200) if k <= n]
    lines = [
        f"task {task.name}; shares of the largest hypervolume {whence} ({best:.5f}); medians over seeds",
        f"{platform.machine()}, Python {platform.python_version()}",
        "",
        f"{'trainings':22}{'seeds':>6}"
        + "".join(f"{k:>8}" for k in marks)
        + f"{'to 95 %':>9}{'to 98 %':>9}{'lost':>7}{'CPU s an ask':>14}",
    ]
    for name, curve in curves.items():
        done = runs[name]
        lines.append(
            f"{LABELS[name]:22}{len(done):>6}"
            + "".join(f"{curve[k - 1] / best:>8.3f}" if k <= len(curve) else " " * 8 for k in marks)
            + f"{needed(curve, 0.95 * best):>9}{needed(curve, 0.98 * best):>9}"
            + f"{np.mean([run.lost for run in done]):>7.1f}{np.mean([run.ask for run in done]):>14.3f}"
        )
    lines += ["", "simulated training seconds until the median search has", ""]
    lines.append(f"{'':22}" + "".join(f"{share:>9.0%}" for share in (0.9, 0.95, 0.98)))
    for name, done in runs.items():
        cells = []
        for share in (0.9, 0.95, 0.98):
            times = [
                next(
                    (t for t, v in zip(run.wall, run.hypervolumes, strict=True) if v >= share * best), np.inf
                )
                for run in done
            ]
            cells.append(f"{np.median(times):>9.0f}")
        lines.append(f"{LABELS[name]:22}" + "".join(cells))
    return "\n".join(lines) + "\n"


def draw(task: Task, runs: dict[str, list[Replay]], path: Path) -> None:
    """Median and quartiles against trainings."""
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.subplots()
    for name, done in runs.items():
        curves = np.array([run.hypervolumes for run in done])
        x = np.arange(1, curves.shape[1] + 1)
        (line,) = axes.plot(x, np.median(curves, axis=0), label=f"{LABELS[name]} ({len(done)} seeds)")
        low, high = np.percentile(curves, [25, 75], axis=0)
        axes.fill_between(x, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set(xlabel="trainings", ylabel="hypervolume, share of the reference box", title=f"task {task.name}")
    start = min(np.median([run.hypervolumes[5] for run in done]) for done in runs.values())
    axes.set_ylim(bottom=float(start))
    axes.legend(loc="lower right", fontsize=8)
    figure.savefig(path, dpi=120)


def main() -> None:
    said = read_arguments(sys.argv[1:])
    task: Task = Synthetic()
    if "table" in said:
        task = Table(Path(said["table"]), said["space"], float(said["unigram"]))
    names = said["only"].split(",") if "only" in said else list(SAMPLERS)
    counts = {name: int(said["slow_seeds" if name in SLOW else "seeds"]) for name in names}
    runs: dict[str, list[Replay]] = {name: [] for name in names}
    with Progress() as progress:
        bar = progress.add_task("searches", total=sum(counts.values()))
        for name, count in counts.items():
            for seed in range(count):
                progress.update(bar, description=f"{name}, seed {seed}")
                n_trials = int(said["cheap_trials" if name in CHEAP else "n_trials"])
                runs[name].append(searched(task, name, seed, n_trials, int(said["workers"])))
                progress.advance(bar)
    text = report(task, runs)
    print(text, end="")
    folder = Path(said["output"])
    suffix = "" if task.name == "synthetic" else f"_{task.name}"
    command = "OMP_NUM_THREADS=1 python -m benchmarks.samplers " + " ".join(sys.argv[1:])
    (folder / f"samplers{suffix}.txt").write_text(f"$ {command.strip()}\n\n{text}")
    draw(task, runs, folder / f"samplers{suffix}.png")


if __name__ == "__main__":
    main()
