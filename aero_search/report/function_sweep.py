"""What a sweep of a plain function shows: a bar on a terminal, a line a call elsewhere, and the best at the end."""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType

from optuna.trial import FrozenTrial
from rich.progress import BarColumn, MofNCompleteColumn, TimeElapsedColumn
from rich.text import Text

from aero_search.console import Console, progress_bars
from aero_search.report.table import sheet
from aero_search.search.function_study import FunctionStudy, assignment

_INTERVAL = 0.5


class SweepView:
    """Watches a study from a background thread until the context ends."""

    def __init__(self, study: FunctionStudy, console: Console) -> None:
        self._study, self._console = study, console
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="sweep-view", daemon=True)
        self._bar = progress_bars(
            console,
            "{task.description}",
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            "{task.fields[note]}",
        )
        self._task = self._bar.add_task(study.name, total=study.plan.n_trials, note="")
        # What a study had before is no news.
        self._told = {trial.number for trial in study.finished()}

    def __enter__(self) -> SweepView:
        self._bar.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=5.0)
        self._refresh()
        self._bar.stop()

    def _loop(self) -> None:
        while not self._stop.wait(_INTERVAL):
            self._refresh()

    def _refresh(self) -> None:
        # A view that cannot be read or drawn is no reason to end a sweep.
        with contextlib.suppress(Exception):
            finished = self._study.finished()
            failed = sum(not trial.values for trial in finished)
            self._bar.update(self._task, completed=len(finished), note=f"{failed} failed" if failed else "")
            for trial in finished:
                if trial.number not in self._told:
                    self._told.add(trial.number)
                    if not self._console.is_terminal:
                        line = f"[{len(self._told)}/{self._study.plan.n_trials}] {outcome(trial)}"
                        self._console.print(Text(line), soft_wrap=True)


def outcome(trial: FrozenTrial) -> str:
    """One line on a call that has ended."""
    said = " ".join(f"{name}={_short(value)}" for name, value in assignment(trial).items())
    told = (
        ", ".join(f"{v:.6g}" for v in trial.values)
        if trial.values
        else trial.user_attrs.get("reason", "failed")
    )
    return f"#{trial.number}  {said}  ->  {told}"


def print_best(study: FunctionStudy, console: Console) -> None:
    """The best trial, or the front of several directions, and how to go on."""
    best = study.best()
    title = "best" if len(study.plan.directions) == 1 else f"front: {len(best)} of {len(study.finished())}"
    names = list(dict.fromkeys(name for trial in best for name in assignment(trial)))
    several = len(study.plan.directions) > 1
    values = [f"{way} {i}" if several else way for i, way in enumerate(study.plan.directions)]
    rows = [
        (
            f"#{trial.number}",
            *(f"{value:.6g}" for value in trial.values),
            *(_short(assignment(trial).get(name, "")) for name in names),
        )
        for trial in best
    ]
    parts = (*[0] * (1 + len(values)), *range(1, 1 + len(names)))
    console.print(sheet(("trial", *values, *names), rows, f"{study.name}, {title}", words=0, parts=parts))
    console.print("go on: the same command with a larger hydra.sweeper.n_trials", soft_wrap=True)


def _short(text: str) -> str:
    try:
        return f"{float(text):.6g}"
    except ValueError:
        return text
