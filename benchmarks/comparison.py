"""What many replays of several samplers say, as tables; the picture is in benchmarks/curves.py."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from aero_search.search.spec import RungsSpec, SamplerSpec
from benchmarks.simulator import Replay
from benchmarks.tasks import Task

Array = npt.NDArray[np.float64]
Runs = Mapping[str, Sequence[Replay]]

GOALS = (0.90, 0.95, 0.98, 0.99)
MARKS = (5, 10, 15, 20, 30, 40, 60, 80, 100, 150)
OURS = "known_cost"
# Of an interval.
_RESAMPLES = 2000


@dataclass(frozen=True)
class Contender:
    """What is compared.

    Attributes:
        sampler: None is another library's, with rungs of its own.
        slow: asks take seconds, so it gets fewer seeds.
        cheap: goes on for longer, to see when it comes where the others are.
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


@dataclass(frozen=True)
class Yardstick:
    """A hypervolume to judge by.

    Attributes:
        best: the largest there is, or the largest that any search reached where that is not known.
        in_front: whether it is measured in the front's own box, else in the study's.
    """

    title: str
    best: float
    in_front: bool = False

    def of(self, run: Replay) -> Sequence[float]:
        """After each training of a search, as a share of the best."""
        return [value / self.best for value in (run.in_front if self.in_front else run.hypervolumes)]


def yardsticks(task: Task, runs: Runs) -> list[Yardstick]:
    """The study's own box, and the front's where the task's front is known."""
    whence = "of the whole table" if task.best else "that any search here reached"
    best = task.best or max(max(run.hypervolumes) for done in runs.values() for run in done)
    found = [
        Yardstick(f"hypervolume in the study's box, as a share of the largest {whence} ({best:.5f})", best)
    ]
    if task.front_box is not None and task.best_in_front:
        text = f"hypervolume in the box of the table's front, as a share of the largest ({task.best_in_front:.5f})"
        found.append(Yardstick(text, task.best_in_front, in_front=True))
    return found


def by_training(done: Sequence[Replay], yardstick: Yardstick) -> Array:
    """What was reached after 1, 2, ... trainings, one row a search; the last value stays."""
    most = max(run.trained[-1] for run in done)
    rows = []
    for run in done:
        values = yardstick.of(run)
        ends = np.searchsorted(run.trained, np.arange(1, most + 1), side="right")
        rows.append([values[end - 1] if end else 0.0 for end in ends])
    return np.array(rows)


def needed(values: Sequence[float], goal: float, of: Sequence[float]) -> float:
    """What it took to reach a goal: the entry of `of` at which it was; infinite where it never was."""
    return next((x for x, value in zip(of, values, strict=True) if value >= goal), np.inf)


def report(task: Task, contenders: Sequence[Contender], runs: Runs, workers: int) -> str:
    """The tables, as text."""
    lines = [
        f"task {task.name}, {workers} asynchronous workers; medians over seeds; {platform.machine()}, "
        f"Python {platform.python_version()}"
    ]
    for yardstick in yardsticks(task, runs):
        lines += ["", "", yardstick.title, "", *_reached(contenders, runs, yardstick)]
        lines += [*_took(contenders, runs, yardstick), "", *targets(contenders, runs, yardstick)]
    lines += ["", "", "a search, means"]
    lines.append(f"{'':22}{'lost':>8}{'stopped':>9}{'missed':>8}{'none missed':>13}{'CPU s an ask':>14}")
    for contender in contenders:
        done = runs[contender.name]
        lines.append(
            f"{contender.label:22}{np.mean([r.lost for r in done]):>8.1f}"
            f"{np.mean([r.stopped for r in done]):>9.1f}{np.mean([r.missed for r in done]):>8.2f}"
            f"{np.mean([r.missed == 0 for r in done]):>13.0%}{np.mean([r.ask for r in done]):>14.3f}"
        )
    lines += [
        "",
        "lost: diverged or left on the plateau; stopped: at a rung, for good; missed: stopped, though they would",
        "lie on the front of all that the search had begun; none missed: share of the searches without such a one;",
        "a share's interval: 95 % of the shares that these searches give when drawn anew with replacement",
    ]
    return "\n".join(lines) + "\n"


def _reached(contenders: Sequence[Contender], runs: Runs, yardstick: Yardstick) -> list[str]:
    most = max(run.trained[-1] for done in runs.values() for run in done)
    marks = [mark for mark in MARKS if mark <= most]
    lines = [
        "after so many trainings, begun and ended or stopped",
        f"{'':22}{'seeds':>6}" + "".join(f"{mark:>7}" for mark in marks),
    ]
    for contender in contenders:
        done = runs[contender.name]
        curve = np.median(by_training(done, yardstick), axis=0)
        cells = "".join(f"{curve[m - 1]:>7.3f}" if m <= len(curve) else f"{'':7}" for m in marks)
        lines.append(f"{contender.label:22}{len(done):>6}{cells}")
    return lines


def _took(contenders: Sequence[Contender], runs: Runs, yardstick: Yardstick) -> list[str]:
    lines = []
    for title, unit in (
        ("trainings", "trained"),
        ("training seconds of all workers", "spent"),
        ("simulated wall seconds", "wall"),
    ):
        lines += ["", f"{title} until a share is reached; > is the most that the median search had"]
        lines.append(f"{'':28}" + "".join(f"{goal:>9.0%}" for goal in GOALS))
        for contender in contenders:
            done = runs[contender.name]
            cells = ""
            for goal in GOALS:
                middle = _median(_took_each(done, yardstick, goal, unit))
                most_had = np.median([getattr(run, unit)[-1] for run in done])
                cells += f"{middle:>9.0f}" if np.isfinite(middle) else f"{f'>{most_had:.0f}':>9}"
            lines.append(f"{contender.label:28}{cells}")
    return lines


def _took_each(done: Sequence[Replay], yardstick: Yardstick, goal: float, unit: str) -> Array:
    """Each search's trainings or seconds until a goal; infinite where it never reached it."""
    return np.array([needed(yardstick.of(run), goal, getattr(run, unit)) for run in done])


def _median(took: Array) -> float:
    """Of the middle search, or of the two in the middle; infinite where half of them never reached the goal."""
    ordered = np.sort(took)
    middle = ordered[(len(took) - 1) // 2 : len(took) // 2 + 1]
    return float(np.mean(middle)) if np.isfinite(middle).all() else np.inf


def targets(contenders: Sequence[Contender], runs: Runs, yardstick: Yardstick) -> list[str]:
    """What is asked of known_cost: trainings against the best other, seconds against the best that stops none.

    Other samplers with our rungs are no others.
    """
    others = [
        c for c in contenders if not c.name.startswith(OURS) and c.rungs.name == "none" and runs.get(c.name)
    ]
    if not others or not runs.get(OURS):
        return []
    lines = []
    for ours, unit, share, rivals, text in (
        (OURS, "trained", 1 / 2, others, "trainings"),
        (f"{OURS}+rungs", "spent", 1 / 3, [c for c in others if c.whole], "training seconds"),
    ):
        if not runs.get(ours) or not rivals:
            continue
        took = {c.label: _took_each(runs[c.name], yardstick, 0.95, unit) for c in rivals}
        times = {label: _median(each) for label, each in took.items()}
        rival = min(times, key=times.__getitem__)
        own = _took_each(runs[ours], yardstick, 0.95, unit)
        if not np.isfinite(_median(own)):
            lines.append(f"{text} to 95 %: {ours} does not reach it (target {share:.2f})")
            continue
        if np.isfinite(times[rival]):
            low, high = _interval(own, took[rival])
            says = (
                f"best other {rival} {times[rival]:.0f}: a share of {_median(own) / times[rival]:.2f} "
                f"({low:.2f} to {high:.2f})"
            )
        else:
            says = "no other reaches it"
        lines.append(f"{text} to 95 %: {ours} {_median(own):.0f}, {says} (target {share:.2f})")
    return lines


def _interval(own: Array, rival: Array) -> tuple[float, float]:
    """Of 95 % for the share, the searches of both drawn anew; which other is best stays."""
    rng = np.random.default_rng(0)
    shares = [
        _median(rng.choice(own, len(own))) / _median(rng.choice(rival, len(rival))) for _ in range(_RESAMPLES)
    ]
    low, high = np.nanquantile(np.array(shares), (0.025, 0.975), method="nearest")
    return float(low), float(high)
