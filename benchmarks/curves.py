"""The picture of a comparison: hypervolume against trainings and against simulated time, medians and quartiles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.comparison import OURS, Array, Contender, Runs, Yardstick, by_training, yardsticks
from benchmarks.simulator import Replay
from benchmarks.tasks import Task


def draw(task: Task, contenders: Sequence[Contender], runs: Runs, path: Path) -> None:
    """One row a yardstick; dashed is what stops candidates at rungs."""
    found = yardsticks(task, runs)
    figure = Figure(figsize=(11, 4.6 * len(found)), layout="constrained")
    for row, yardstick in zip(
        figure.subplots(len(found), 2, sharey="row", squeeze=False), found, strict=True
    ):
        _draw(row[0], row[1], contenders, runs, yardstick)
    # Where no curve comes: the cheap samplers' searches are long, and near the top by then.
    lines, labels = figure.axes[0].get_legend_handles_labels()
    figure.axes[1].legend(lines, labels, loc="lower right", fontsize=8, title="(searches)", title_fontsize=8)
    figure.savefig(path, dpi=120)


def _draw(left: Axes, right: Axes, contenders: Sequence[Contender], runs: Runs, yardstick: Yardstick) -> None:
    starts = []
    for contender in contenders:
        done = runs[contender.name]
        style = "-" if contender.whole else "--"
        curves = by_training(done, yardstick)
        starts.append(np.median(curves[:, min(4, curves.shape[1] - 1)]))
        label = f"{contender.label} ({len(done)})"
        width = 2.5 if contender.name.startswith(OURS) else 1.2
        color = _band(left, np.arange(1, curves.shape[1] + 1), curves, label, style, width)
        # As far as the shortest search goes, so that every median is one of all searches.
        times = np.linspace(0, min(run.wall[-1] for run in done), 200)
        at = np.array([_at(run, times, yardstick) for run in done])
        _band(right, times / 60, at, "", style, width, color)
    box = "the front's box" if yardstick.in_front else "the study's box"
    left.set(
        xlabel="trainings", ylabel="share of the largest hypervolume", title=f"in {box}, against trainings"
    )
    right.set(xlabel="simulated wall time, minutes", title="the same against time")
    left.set_ylim(max(0.0, float(min(starts))), 1.005)


def _at(run: Replay, times: Array, yardstick: Yardstick) -> Array:
    """What a search had reached at each time."""
    index = np.searchsorted(run.wall, times, side="right")
    return np.concatenate([[0.0], yardstick.of(run)])[index]


def _band(
    axes: Axes, x: Array, curves: Array, label: str, style: str, width: float, color: Any = None
) -> Any:
    (line,) = axes.plot(x, np.median(curves, axis=0), style, label=label, linewidth=width, color=color)
    low, high = np.percentile(curves, [25, 75], axis=0)
    axes.fill_between(x, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
    return line.get_color()
