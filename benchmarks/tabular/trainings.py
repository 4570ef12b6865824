"""Trainings in worker processes: each is a row of a file as soon as it ends, and what the file holds is skipped."""

from __future__ import annotations

import multiprocessing
import os
import platform
import shutil
import signal
import socket
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from aero_search.console import make_console
from aero_search.data.corpus import Corpus
from aero_search.errors import AeroSearchError
from aero_search.report.units import duration
from aero_search.search.candidate import Candidate
from aero_search.training.result import CurvePoint
from aero_search.workers.parent_watchdog import stop_with_parent
from benchmarks.tabular.rows import Row, add, mend, read_rows


@dataclass(frozen=True)
class Job:
    """One training to be done; travels to a worker."""

    candidate: Candidate
    corpus: Path
    folder: Path

    @property
    def name(self) -> tuple[tuple[str, ...], int]:
        """As the row's."""
        return self.candidate.overrides, self.candidate.recipe.seed


@dataclass
class Clock:
    """A listener that notes the processor time of every validation."""

    began: float
    curve: list[tuple[int, float, float]] = field(default_factory=list)

    def step(self, step: int, loss: float) -> None:
        """Nothing is noted between validations."""

    def validated(self, point: CurvePoint, entropy: list[list[float]]) -> None:
        self.curve.append((point.step, point.perplexity, time.process_time() - self.began))


def train_row(job: Job) -> Row:
    """Train in this process. A training that was cut off starts anew, so that its processor time is all here."""
    from aero_search.training.run import train

    folder = job.folder / job.candidate.identity
    shutil.rmtree(folder, ignore_errors=True)
    clock = Clock(time.process_time())
    candidate = job.candidate
    result = train(
        candidate.architecture,
        candidate.recipe,
        Corpus.open(job.corpus),
        folder,
        [clock],
        threads=1,
        recovery=candidate.recovery,
    )
    seconds = time.process_time() - clock.began
    shutil.rmtree(folder, ignore_errors=True)
    return Row(
        overrides=candidate.overrides,
        notation=candidate.notation,
        seed=candidate.recipe.seed,
        verdict=result.verdict,
        perplexity=result.perplexity,
        seconds=seconds,
        steps=result.steps,
        parameters=result.parameters,
        curve=tuple(clock.curve),
    )


def run_missing(path: Path, whole: Sequence[Job], workers: int, only: int | None = None) -> int:
    """Train what the file has no row of; returns how many trainings still are missing.

    Args:
        only: end after so many.

    Raises:
        AeroSearchError: a worker died.
    """
    mend(path)
    done = {row.name for row in read_rows(path)}
    missing = [job for job in whole if job.name not in done]
    console = make_console()
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with (
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
        ProcessPoolExecutor(workers, context, _begin, (os.getpid(), socket.gethostname())) as pool,
    ):
        bar = progress.add_task("", total=len(whole), completed=len(whole) - len(missing), left="")
        began = time.monotonic()
        running: set[Future[Row]] = set()
        todo, count = len(missing[:only]), 0
        try:
            # A worker may die while others' jobs are still handed out.
            running |= {pool.submit(train_row, job) for job in missing[:only]}
            while running:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for row in (future.result() for future in ended):
                    add(path, row)
                    count += 1
                    left = (time.monotonic() - began) / count * (todo - count)
                    progress.update(bar, advance=1, left=f"{duration(left)} left")
                    progress.console.print(_line(row, len(done) + count, len(whole), left), soft_wrap=True)
        except BaseException as stop:
            # Nobody waits for trainings that will start anew.
            for process in set(multiprocessing.active_children()) - others:
                process.kill()
            if isinstance(stop, BrokenProcessPool):
                raise AeroSearchError("a worker died: give the command again to go on") from stop
            raise
    return len(missing) - count


def _line(row: Row, number: int, total: int, left: float) -> str:
    reached = "diverged" if row.perplexity is None else f"perplexity {row.perplexity:.2f}, {row.verdict}"
    return (
        f"({number} of {total}) {row.notation}, seed {row.seed}: {reached}, {row.seconds:.0f} s; "
        f"{duration(left)} left"
    )


def _begin(parent: int, host: str) -> None:
    """In a worker: it ends with its parent, which alone answers Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop_with_parent(parent, host)


def prepare_environment() -> None:
    """Settings of the workers that have to be made before torch is imported."""
    # A thread a worker; torch reads it when it is imported, which here only workers do.
    os.environ["OMP_NUM_THREADS"] = "1"
    # Freed memory stays with the process: glibc would return it at every step and fetch it again, a seventh of the
    # time. Other allocators do not know these names.
    os.environ.update(
        MALLOC_MMAP_THRESHOLD_="1000000000", MALLOC_TRIM_THRESHOLD_="2000000000", MALLOC_TOP_PAD_="200000000"
    )


def run_facts(workers: int) -> dict[str, object]:
    """Software and machine of a run."""
    from aero_search.training.environment import versions

    return {
        "versions": versions(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "workers": workers,
    }
