"""What a search is doing while it does it: a live view on a terminal, one line a candidate elsewhere."""

from __future__ import annotations

import contextlib
import math
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from aero_search.console import Console
from aero_search.quantity import perplexity_text
from aero_search.report.front import KNEE
from aero_search.report.units import compact, duration, quality_name, quality_text, readable, times
from aero_search.waiting import doing

if TYPE_CHECKING:
    from aero_search.front.front import Front
    from aero_search.front.record import Record
    from aero_search.training.progress import Progress

FRONT_ROWS = 10
# The longest silence where no view is drawn, seconds.
QUIET_S = 30.0


@dataclass(frozen=True)
class Snapshot:
    """A search at one moment.

    Attributes:
        study: its name.
        budget: candidates to train in all.
        done: candidates whose training has ended, whatever the verdict; they use up the budget.
        stopped: those of `done` that ended before their last step without diverging.
        repeats: trainings of candidates with further seeds that are over, and how many are asked for.
        diverged: those of `done` whose loss was no number.
        duplicates: proposals that were trained already and were not trained again.
        invalid: proposals that no network can be built from.
        over: proposals above a limit of the objective, not trained.
        running: progress of every candidate in training that has reported any.
        front: None before there is one to sort.
        started: when this search began or went on, seconds since the epoch.
        seconds: wall time of each finished candidate.
        workers: processes that train at the same time.
    """

    study: str
    budget: int
    done: int
    stopped: int
    diverged: int
    duplicates: int
    running: tuple[Progress, ...]
    front: Front | None
    started: float
    seconds: tuple[float, ...]
    workers: int = 1
    invalid: int = 0
    over: int = 0
    replicates: tuple[int, int] = (0, 0)


def time_left(snapshot: Snapshot, now: float) -> float | None:
    """Seconds until the budget is trained; None before anything is known.

    Finished candidates say how long one takes; before the first, the running ones' progress does.
    """
    fractions = [progress.step / max(1, progress.steps) for progress in snapshot.running]
    if snapshot.seconds:
        each = statistics.fmean(snapshot.seconds)
    elif sum(fractions) > 0.02:
        each = (now - snapshot.started) * len(fractions) / sum(fractions)
    else:
        return None
    left = max(0.0, snapshot.budget - snapshot.done - sum(fractions)) * each
    # The last candidate to start runs alone, however many workers there are.
    longest = max((1 - fraction for fraction in fractions), default=0.0) * each
    return max(left / max(1, min(snapshot.workers, snapshot.budget - snapshot.done)), longest)


def render(snapshot: Snapshot, now: float, note: str = "") -> RenderableType:
    """The whole view as one renderable, some 8 to 25 lines."""
    parts: list[RenderableType] = [_head(snapshot, now), _budget(snapshot)]
    if snapshot.running:
        parts.append(_running(snapshot))
    if snapshot.front is not None and snapshot.front.points:
        parts.append(_front(snapshot.front))
    if note:
        parts.append(Text(note, style="yellow", overflow="ellipsis", no_wrap=True))
    return Group(*parts)


# Seconds that the end waits for a look that is being taken: a log would lack the last candidates without it.
SCREEN_S, LOG_S = 5.0, 60.0
# Seconds between two looks, which take processor time from the workers. A screen rests 20 times as long as a look
# takes, up to what a log rests.
DRAW_S, TELL_S, _REST = 1.0, 5.0, 20.0


def rest(took: float, drawn: bool) -> float:
    """Seconds until the next look.

    Args:
        took: seconds of the last one.
        drawn: on a screen.
    """
    return min(max(DRAW_S, _REST * took), TELL_S) if drawn else TELL_S


class LiveView:
    """Shows a search from a background thread until the context ends.

    On a terminal the view is redrawn in place and erased at the end. Elsewhere one line a candidate whose training
    has ended since the view began is printed, and the counts at first and after `QUIET_S` without a line. A
    `snapshot` that raises keeps the last view on screen; it never reaches the search.
    """

    def __init__(
        self, snapshot: Callable[[], Snapshot], console: Console, interval: float | None = None
    ) -> None:
        """Prepare a view; nothing is shown before the context begins.

        Args:
            snapshot: called every `interval` seconds, from the background thread.
            interval: None is that of a screen or of a log, see `rest`.
        """
        self._snapshot, self._console, self._interval = snapshot, console, interval
        self._drawn = console.is_terminal and not console.is_dumb_terminal
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="live-view", daemon=True)
        self._live: Live | None = None
        self._last: Snapshot | None = None
        self._told: set[int] | None = None
        self._spoke = -math.inf

    def __enter__(self) -> LiveView:
        doing(None)
        if self._drawn:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        try:
            self._refresh()
            self._thread.start()
        except BaseException:
            # Ctrl-C while the first snapshot is taken: no context has begun that would end.
            if self._live is not None:
                self._live.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        try:
            # A snapshot that hangs does not hold up the end of the search for long.
            self._thread.join(timeout=LOG_S if self._live is None else SCREEN_S)
            if self._live is None and not self._thread.is_alive():
                self._refresh()
        finally:
            if self._live is not None:
                self._live.stop()
            doing("putting the front together")

    def _loop(self) -> None:
        took = 0.0
        while not self._stop.wait(rest(took, self._drawn) if self._interval is None else self._interval):
            began = time.monotonic()
            self._refresh()
            took = time.monotonic() - began

    def _refresh(self) -> None:
        note = ""
        try:
            self._last = self._snapshot()
        except Exception as problem:
            note = f"this view is not up to date: {type(problem).__name__}: {problem}".splitlines()[0]
        if self._last is None:
            return
        # A view that cannot be drawn (a closed stream, a window of no width) is no reason to end a search.
        with contextlib.suppress(Exception):
            if self._live is not None:
                self._live.update(render(self._last, time.time(), note), refresh=True)
            else:
                self._tell(self._last)

    def _tell(self, snapshot: Snapshot) -> None:
        now = time.monotonic()
        front = snapshot.front
        records = []
        if front is not None:
            records = [*front.points, *front.dominated, *front.over, *front.stopped, *front.diverged]
        if self._told is None:
            # What a resumed study had before is no news.
            self._told = {record.number for record in records}
        news = [record for record in records if record.number not in self._told]
        first = snapshot.done - len(news) + 1
        for count, record in enumerate(sorted(news, key=lambda record: record.number), start=max(first, 1)):
            self._told.add(record.number)
            line = f"[{count}/{snapshot.budget}] {outcome(record)}"
            self._console.print(Text(line), soft_wrap=True)
            self._spoke = now
        if now - self._spoke >= QUIET_S:
            self._console.print(Text(f"{snapshot.study}: {_counts(snapshot)}"), soft_wrap=True)
            self._spoke = now


def short_quality(front: Front, record: Record) -> str:
    """`ppl 63.31`, `accuracy 38.4%`."""
    quality = front.objective.quality
    name = "ppl" if quality == "perplexity" else quality_name(quality)
    return f"{name} {quality_text(quality, front.value(record))}"


def outcome(record: Record) -> str:
    """One line on a candidate whose training has ended."""
    if record.perplexity is None:
        return f"{record.label}  {record.reason or record.state}"
    cost = next(iter(record.costs), None)
    parts = [f"perplexity {perplexity_text(record.perplexity)}"]
    parts += [] if record.accuracy is None else [f"accuracy {quality_text('accuracy', record.accuracy)}"]
    parts += [readable(cost, record.costs[cost])] if cost else []
    parts += [duration(record.seconds)] if record.seconds is not None else []
    parts += [record.reason] if record.reason else []
    return f"{record.label}  {', '.join(parts)}"


def _head(snapshot: Snapshot, now: float) -> Text:
    left = time_left(snapshot, now)
    text = Text.assemble(
        (snapshot.study, "bold"), f"  {duration(now - snapshot.started)}", overflow="ellipsis"
    )
    if left is not None and snapshot.done < snapshot.budget:
        text.append(f", about {duration(left)} left")
    return text


def _budget(snapshot: Snapshot) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    started = sum(progress.step / max(1, progress.steps) for progress in snapshot.running)
    bar = ProgressBar(
        total=snapshot.budget, completed=min(snapshot.budget, snapshot.done + started), width=16
    )
    grid.add_row(bar, Text(_counts(snapshot)))
    return grid


def _counts(snapshot: Snapshot) -> str:
    """How many proposals came to what."""
    counts = [f"{snapshot.done} of {snapshot.budget} trained", f"{len(snapshot.running)} running"]
    duplicates = "duplicate" if snapshot.duplicates == 1 else "duplicates"
    others = (
        (snapshot.stopped, "stopped"),
        (snapshot.diverged, "diverged"),
        (snapshot.duplicates, duplicates),
        (snapshot.invalid, "impossible"),
        (snapshot.over, "above a limit"),
        (snapshot.replicates[1], f"with other seeds ({snapshot.replicates[0]} done)"),
    )
    counts += [f"{number} {name}" for number, name in others if number]
    if len(counts) == 2 and not snapshot.done and not snapshot.running:
        counts[1] = "workers are starting"
    return " · ".join(counts)


def _running(snapshot: Snapshot) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=8)
    grid.add_column()
    for _ in range(3):
        grid.add_column(justify="right", no_wrap=True, style="dim")
    for progress in snapshot.running:
        grid.add_row(
            ProgressBar(total=max(1, progress.steps), completed=progress.step, width=8),
            _name(progress.notation),
            f"step {progress.step:,}/{progress.steps:,}",
            "" if progress.loss is None else f"loss {progress.loss:.3f}",
            "" if progress.perplexity is None else f"ppl {perplexity_text(progress.perplexity)}",
        )
    return grid


def _front(front: Front) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column()
    for _ in range(1 + len(front.objective.costs)):
        grid.add_column(justify="right", no_wrap=True)
    knee = front.balance
    for record in _shown(front, knee):
        cells = [Text(f"{KNEE if record is knee else ''} #{record.number}".strip())]
        cells += [_name(record.notation), Text(short_quality(front, record))]
        for metric in front.objective.costs:
            saving = times(front.saving(record, metric)) if record.costs[metric] else ""
            value = readable(metric, record.costs[metric]) + ("FLOPs" if metric == "flops" else "")
            cells.append(Text.assemble(value, " ", (f"{saving:>4}", "green")))
        grid.add_row(*cells, style="bold" if record is knee else "")
    hidden = len(front.points) - FRONT_ROWS
    more = f", {hidden} more" if hidden > 0 else ""
    sizes = "" if front.target is None else f" · costs of {front.target.name}"
    head = f"\nfront: {len(front.points)} of {len(front.points) + len(front.dominated)}{more} · "
    return Group(Text(f"{head}hypervolume {front.hypervolume:.4f}{sizes}", style="cyan"), grid)


def _name(notation: str) -> Text:
    """A notation that gives way where a line is too narrow; the numbers beside it stay whole."""
    return Text(compact(notation), no_wrap=True, overflow="ellipsis")


def _shown(front: Front, knee: Record | None) -> list[Record]:
    """At most FRONT_ROWS points, spread evenly over the front, its ends and the knee among them."""
    points = front.points
    if len(points) <= FRONT_ROWS:
        return list(points)
    chosen = {round(i * (len(points) - 1) / (FRONT_ROWS - 1)) for i in range(FRONT_ROWS)}
    at = next((i for i, record in enumerate(points) if record is knee), None)
    if at is not None and at not in chosen:
        inner = chosen - {0, len(points) - 1}
        chosen = (chosen - {min(inner, key=lambda i: abs(i - at))}) | {at}
    return [points[i] for i in sorted(chosen)]
