"""What many replays of several samplers say: tables and a picture."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aero_search.search.spec import RungsSpec, SamplerSpec
from benchmarks.simulator import Replay
from benchmarks.tasks import Task

Array = npt.NDArray[np.float64]

GOALS = (0.90, 0.95, 0.98, 0.99)
MARKS = (5, 10, 15, 20, 30, 40, 60, 80, 100, 150)
OURS = "known_cost"


@dataclass(frozen=True)
class Contender:
    """What is compared.

    Attributes:
        sampler: None is another library's.
        slow: asks take seconds, so it gets fewer seeds.
        cheap: asks take milliseconds, so it goes on for longer.
    """

    name: str
    label: str
    sampler: SamplerSpec | None
    rungs: RungsSpec = field(default_factory=RungsSpec)
    slow: bool = False
    cheap: bool = False

    @property
    def whole(self) -> bool:
        """Whether it trains every candidate to its end."""
        return self.rungs.name == "none" and self.sampler is not None


def best_known(task: Task, runs: Mapping[str, Sequence[Replay]]) -> float:
    """The task's largest hypervolume, or the largest that any search reached where that is not known."""
    return task.best or max(max(run.hypervolumes) for done in runs.values() for run in done)


def by_training(done: Sequence[Replay]) -> Array:
    """Hypervolumes after 1, 2, ... trainings, one row a search; the last value stays."""
    most = max(run.trained[-1] for run in done)
    return np.array([[run.at(k + 1) for k in range(most)] for run in done])


def needed(run: Replay, goal: float, of: Sequence[float]) -> float:
    """What it took to reach a hypervolume: the entry of `of` at which it did; infinite where it did not."""
    return next((x for x, value in zip(of, run.hypervolumes, strict=True) if value >= goal), np.inf)


def report(
    task: Task, contenders: Sequence[Contender], runs: Mapping[str, Sequence[Replay]], workers: int
) -> str:
    """The tables, as text."""
    best = best_known(task, runs)
    whence = "of the whole table" if task.best else "that any search here reached"
    most = max(run.trained[-1] for done in runs.values() for run in done)
    marks = [mark for mark in MARKS if mark <= most]
    lines = [
        f"task {task.name}, {workers} asynchronous workers; hypervolumes as shares of the largest {whence}",
        f"({best:.5f}); medians over seeds; {platform.machine()}, Python {platform.python_version()}",
        "",
        "after so many trainings, begun and ended or stopped",
        f"{'':22}{'seeds':>6}" + "".join(f"{mark:>7}" for mark in marks) + f"{'CPU s an ask':>14}",
    ]
    for contender in contenders:
        done = runs[contender.name]
        curve = np.median(by_training(done), axis=0) / best
        cells = "".join(f"{curve[m - 1]:>7.3f}" if m <= len(curve) else f"{'':7}" for m in marks)
        ask = np.mean([run.ask for run in done])
        lines.append(f"{contender.label:22}{len(done):>6}{cells}{ask:>14.3f}")
    for title, unit in (
        ("trainings", "trained"),
        ("training seconds of all workers", "spent"),
        ("simulated wall seconds", "wall"),
    ):
        lines += ["", f"{title} until the hypervolume is reached; > is the most that the median search had"]
        lines.append(f"{'':28}" + "".join(f"{goal:>9.0%}" for goal in GOALS))
        for contender in contenders:
            done = runs[contender.name]
            cells = ""
            for goal in GOALS:
                middle = np.median([needed(run, goal * best, getattr(run, unit)) for run in done])
                most_had = np.median([getattr(run, unit)[-1] for run in done])
                cells += f"{middle:>9.0f}" if np.isfinite(middle) else f"{f'>{most_had:.0f}':>9}"
            lines.append(f"{contender.label:28}{cells}")
    lines += ["", "a search, means", f"{'':22}{'lost':>8}{'stopped':>9}{'missed':>8}{'none missed':>13}"]
    for contender in contenders:
        done = runs[contender.name]
        lines.append(
            f"{contender.label:22}{np.mean([r.lost for r in done]):>8.1f}"
            f"{np.mean([r.stopped for r in done]):>9.1f}{np.mean([r.missed for r in done]):>8.2f}"
            f"{np.mean([r.missed == 0 for r in done]):>13.0%}"
        )
    lines += [
        "",
        "lost: diverged or left on the plateau; stopped: at a rung, for good; missed: stopped, though they would",
        "lie on the front of all that the search had begun; none missed: share of the searches without such a one",
        "",
        *targets(contenders, runs, best),
    ]
    return "\n".join(lines) + "\n"


def targets(contenders: Sequence[Contender], runs: Mapping[str, Sequence[Replay]], best: float) -> list[str]:
    """What is asked of known_cost, with and without rungs, against the best of the others that train to the end."""
    others = [c for c in contenders if c.whole and not c.name.startswith(OURS)]
    if not others or OURS not in runs:
        return []
    lines = []
    goal = 0.95 * best

    def median(name: str, what: str) -> float:
        return float(np.median([needed(run, goal, getattr(run, what)) for run in runs[name]]))

    for ours, what, share, unit in (
        (OURS, "trained", 1 / 2, "trainings"),
        (f"{OURS}+rungs", "spent", 1 / 3, "training seconds"),
    ):
        if ours not in runs:
            continue
        rival = min(others, key=lambda c: median(c.name, what))
        own, theirs = median(ours, what), median(rival.name, what)
        lines.append(
            f"{unit} to 95 %: {ours} {own:.0f}, best other {rival.label} {theirs:.0f}: "
            f"a share of {own / theirs:.2f} (target {share:.2f})"
        )
    return lines


def draw(
    task: Task, contenders: Sequence[Contender], runs: Mapping[str, Sequence[Replay]], path: Path
) -> None:
    """Medians and quartiles, against trainings and against simulated wall time."""
    best = best_known(task, runs)
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for contender in contenders:
        done = runs[contender.name]
        style = "-" if contender.whole else "--"
        curves = by_training(done) / best
        color = _band(
            left, np.arange(1, curves.shape[1] + 1), curves, f"{contender.label} ({len(done)})", style
        )
        # As far as the shortest search goes, so that every median is one of all searches.
        times = np.linspace(0, min(run.wall[-1] for run in done), 200)
        at = np.array([_at(run, times) for run in done]) / best
        _band(right, times / 60, at, "", style, color)
    left.set(xlabel="trainings", ylabel="hypervolume, share of the largest", title=f"task {task.name}")
    right.set(xlabel="simulated wall time, minutes", title="the same against time")
    start = min(np.median([run.at(5) for run in runs[c.name]]) for c in contenders) / best
    left.set_ylim(max(0.0, float(start)), 1.005)
    left.legend(loc="lower right", fontsize=7, title="(searches)", title_fontsize=7)
    figure.savefig(path, dpi=120)


def _at(run: Replay, times: Array) -> Array:
    """The hypervolume that a search had at each time."""
    index = np.searchsorted(run.wall, times, side="right")
    return np.concatenate([[0.0], run.hypervolumes])[index]


def _band(axes: Axes, x: Array, curves: Array, label: str, style: str, color: Any = None) -> Any:
    (line,) = axes.plot(x, np.median(curves, axis=0), style, label=label, color=color)
    low, high = np.percentile(curves, [25, 75], axis=0)
    axes.fill_between(x, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
    return line.get_color()
