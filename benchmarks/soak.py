"""A search of tiny candidates for hours in one process: does anything grow but the databases?

After every candidate it notes memory, open files, threads and the sizes of the databases in
outputs/benchmarks/soak/measures.csv. It may be stopped at any time; the same command goes on with the same study,
in a process of its own, whose slopes are its own. The first candidates of a process, in which libraries are
imported and caches filled, do not count.

    OMP_NUM_THREADS=1 python -m benchmarks.soak [--minutes 120] [--sampler random] [--output FILE]
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import signal
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from aero_search.cli import INTERRUPTED, main
from aero_search.search import worker
from aero_search.training.result import Result
from benchmarks.write_report import say

FOLDER = Path("outputs/benchmarks/soak")
MEASURES = FOLDER / "measures.csv"
# A rate that is drawn anew for each candidate, so that the space never ends.
SPACE = """description: a few networks at any learning rate
parameters:
  norm: {choices: [layernorm, none]}
  activation: {choices: [gelu, relu, identity]}
  ffn.layers: {choices: [0, 1]}
  recipe.lr: {real: {low: 1.0e-3, high: 1.0e-1, log: true}}
"""
# Of a process, before memory has settled.
_WARM_UP = 20
_FIELDS = (
    "process",
    "candidate",
    "seconds",
    "rss_kb",
    "files",
    "threads",
    "optuna_kb",
    "mlflow_kb",
    "folder_kb",
)
_TINY = (
    "model.n_layer=1",
    "model.n_head=2",
    "model.d_model=16",
    "model.seq_len=16",
    "model.vocab_size=300",
    "recipe.steps=4",
    "recipe.batch_size=4",
    "recipe.validate_every=4",
    "recipe.validation_sequences=4",
)


def measure(candidate: int, seconds: float) -> dict[str, float]:
    """This process and its files as they are now; sizes in kB of 1024 bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "process": os.getpid(),
        "candidate": candidate,
        "seconds": round(seconds, 1),
        "rss_kb": pages * os.sysconf("SC_PAGE_SIZE") // 1024,
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "optuna_kb": _size("optuna.db*"),
        "mlflow_kb": _size("mlflow.db*"),
        "folder_kb": _size("studies/**/*"),
    }


def _size(pattern: str) -> int:
    return sum(path.stat().st_size for path in FOLDER.glob(pattern) if path.is_file()) // 1024


def slope(rows: Sequence[dict[str, float]], name: str) -> float:
    """Growth a candidate by least squares, after the warm-up."""
    kept = rows[_WARM_UP:]
    if len(kept) < 2:
        return float("nan")
    found = statistics.linear_regression([row["candidate"] for row in kept], [row[name] for row in kept])
    return found.slope


def soak(minutes: float, sampler: str, text: Path) -> list[dict[str, float]]:
    """Search until the time is over; the measures of this process."""
    rows: list[dict[str, float]] = []
    space = FOLDER / "space.yaml"
    space.write_text(SPACE)
    began = time.monotonic()
    train: Callable[..., Result] = worker.train_candidate

    def noted(*arguments: object) -> Result:
        result = train(*arguments)
        rows.append(measure(len(rows), time.monotonic() - began))
        _append(rows[-1])
        if time.monotonic() - began > 60 * minutes:
            # As its user would: the study stays one that can go on.
            os.kill(os.getpid(), signal.SIGINT)
        return result

    # What is measured runs between two claims of the worker, which has no place for it.
    worker.train_candidate = noted  # type: ignore[assignment]
    # A shell's background jobs ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = main(
            [
                "search",
                "study.name=soak",
                f"output_dir={FOLDER}",
                f"space={space}",
                "search.n_trials=1000000",
                "search.workers=1",
                f"search/sampler={sampler}",
                "data=text_folder",
                f"data.path={text}",
                *_TINY,
            ]
        )
    finally:
        worker.train_candidate = train
    if code != INTERRUPTED:
        raise SystemExit(f"the search ended by itself with exit code {code}")
    return rows


def _append(row: dict[str, float]) -> None:
    new = not MEASURES.exists()
    with MEASURES.open("a", newline="") as file:
        writer = csv.DictWriter(file, _FIELDS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def report(rows: Sequence[dict[str, float]], minutes: float, sampler: str) -> str:
    """What grew, by how much a candidate."""
    units = {
        "rss_kb": "kB resident memory",
        "files": "open files",
        "threads": "threads of Python",
        "optuna_kb": "kB optuna.db",
        "mlflow_kb": "kB mlflow.db",
        "folder_kb": "kB files of the study",
    }
    lines = [
        f"A search of tiny candidates in one process (benchmarks/soak.py): {len(rows)} candidates in {minutes:.1f} "
        f"minutes, sampler {sampler}, the first {_WARM_UP} not counted in the slopes.",
        f"Python {platform.python_version()}, {os.cpu_count()} shared cores.",
        "",
        f"{'':<24} {'first':>12} {'last':>12} {'slope a candidate':>20}",
    ]
    for name, unit in units.items():
        first = rows[min(_WARM_UP, len(rows) - 1)][name]
        lines.append(f"{unit:<24} {first:>12,.0f} {rows[-1][name]:>12,.0f} {slope(rows, name):>20.3f}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--text", type=Path, default=Path("docs"), help="a folder of text to train on")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    measured = soak(given.minutes, given.sampler, given.text.resolve())
    say(
        report(measured, (time.monotonic() - started) / 60, given.sampler),
        given.output,
        "python -m benchmarks.soak",
    )
