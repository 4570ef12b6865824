"""Trains every network of the space beside this file, and a quarter of them once more with another seed.

A row is added to FOLDER/table.csv as soon as its training ends. Stop the command however you like and give it
again: what is in the table is not trained again. What diverged is a row with that verdict. The networks come in a
random order, the same each time, so an unfinished table is a fair sample of the whole.

    nice python -m benchmarks.tabular.build [--folder outputs/tabular] [--workers 2] [--only ROWS] [OVERRIDE ...]

When it is whole, table.csv and table.json belong into this folder. Recipe and model are the default ones with the
space's base; further overrides (recipe.steps=20) make another table, which needs a folder of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from aero_search.console import make_console
from aero_search.data import prepare
from aero_search.data.corpus import Corpus
from aero_search.errors import AeroSearchError
from aero_search.report.units import duration
from aero_search.schema import to_mapping
from aero_search.search.candidate import Candidate, make_candidate
from aero_search.search.parent import stop_with_parent
from aero_search.training.result import CurvePoint
from benchmarks.tabular.networks import SPACE, Networks, load_networks
from benchmarks.tabular.rows import META_FILE, ROWS_FILE, Row, add, mend, read_rows, remember

# Every fourth network is trained with seed 1 as well.
REPEATED = 4


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
        candidate.architecture, candidate.recipe, Corpus.open(job.corpus), folder, [clock], threads=1
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


def jobs(networks: Networks, corpus: Corpus, folder: Path) -> list[Job]:
    """Everything to be trained: each network with the recipe's seed, then a quarter with the next one."""
    order = list(networks.architectures.items())
    random.Random(0).shuffle(order)
    recipe = networks.request.recipe
    again = replace(recipe, seed=recipe.seed + 1)
    return [
        Job(make_candidate(architecture, r, corpus.fingerprint, overrides), corpus.folder, folder)
        for r, some in ((recipe, order), (again, order[::REPEATED]))
        for overrides, architecture in some
    ]


def build(
    folder: Path, workers: int, only: int | None = None, overrides: Sequence[str] = (), space: Path = SPACE
) -> int:
    """Train what is missing; returns how many trainings still are.

    Args:
        only: end after so many.
        overrides: come after the space's own base.

    Raises:
        AeroSearchError: a worker died, or another command builds this table.
    """
    networks = load_networks(space, overrides)
    corpus = prepare(networks.request.data, networks.request.architecture.vocab_size)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "build.lock").acquire(timeout=0):
            return _build(folder, workers, only, networks, corpus)
    except Timeout:
        raise AeroSearchError(f"{folder} is being built by another process: wait for it") from None


def _build(folder: Path, workers: int, only: int | None, networks: Networks, corpus: Corpus) -> int:
    from aero_search.training.health import corpus_unigram_loss, perplexity

    path = folder / ROWS_FILE
    remember(
        folder / META_FILE,
        common={
            "corpus fingerprint": corpus.fingerprint,
            "unigram_perplexity": perplexity(corpus_unigram_loss(corpus)),
            "model": networks.request.composed["model"],
            "recipe": to_mapping(networks.request.recipe),
            "space": {p.name: to_mapping(p) for p in networks.space.parameters},
        },
        run=_run(workers),
    )
    mend(path)
    whole = jobs(networks, corpus, folder / "training")
    done = {row.name for row in read_rows(path)}
    missing = [job for job in whole if job.name not in done]
    console = make_console()
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
    context = multiprocessing.get_context("spawn")
    with (
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
        ProcessPoolExecutor(workers, context, _begin, (os.getpid(), socket.gethostname())) as pool,
    ):
        bar = progress.add_task("", total=len(whole), completed=len(whole) - len(missing), left="")
        began = time.monotonic()
        running: set[Future[Row]] = {pool.submit(train_row, job) for job in missing[:only]}
        todo, count = len(running), 0
        try:
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
            for process in multiprocessing.active_children():
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


def _run(workers: int) -> dict[str, object]:
    from aero_search.training.environment import versions

    return {
        "versions": versions(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "workers": workers,
    }


def _begin(parent: int, host: str) -> None:
    """In a worker: it ends with its parent, which alone answers Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop_with_parent(parent, host)


def main() -> None:
    # A thread a worker; torch reads it when it is imported, which here only workers do.
    os.environ["OMP_NUM_THREADS"] = "1"
    # Freed memory stays with the process: glibc would return it at every step and fetch it again, a seventh of the
    # time. Other allocators do not know these names.
    os.environ.update(
        MALLOC_MMAP_THRESHOLD_="1000000000", MALLOC_TRIM_THRESHOLD_="2000000000", MALLOC_TOP_PAD_="200000000"
    )
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("outputs/tabular"), help="of the table")
    parser.add_argument("--workers", type=int, default=2, help="processes that train, one thread each")
    parser.add_argument("--only", type=int, help="end after so many trainings")
    parser.add_argument("--space", type=Path, default=SPACE, help="YAML file of another space")
    parser.add_argument("overrides", nargs="*", help="Hydra overrides: another table")
    arguments = parser.parse_args()
    try:
        left = build(
            arguments.folder, arguments.workers, arguments.only, arguments.overrides, arguments.space
        )
    except AeroSearchError as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on from here")
    print(f"{left} trainings are left" if left else f"{arguments.folder / ROWS_FILE} is whole")


if __name__ == "__main__":
    main()
