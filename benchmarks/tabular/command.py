"""The command of a benchmark whose trainings are rows of a file: `train` goes on, `report` says what is there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from benchmarks.tabular.rows import Row, read_rows, remember
from benchmarks.tabular.trainings import Job, prepare_environment, run_facts, run_missing

Jobs = tuple[list[Job], dict[str, object]]
# What the overrides of the rows are added to, whatever the default recipe becomes.
RECIPE = "proxy_adamw"
BASE = (f"recipe={RECIPE}",)


def parser_of(description: str | None, *more: str) -> argparse.ArgumentParser:
    """The arguments that these benchmarks share.

    Args:
        more: what can be asked for beside `train` and `report`.
    """
    prepare_environment()
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("train", "report", *more))
    parser.add_argument("--workers", type=int, default=2, help="processes that train, one thread each")
    parser.add_argument("--only", type=int, help="end after so many trainings")
    parser.add_argument("--output", type=Path, help="also write the report here")
    return parser


def train_rows(
    name: str, rows: Path, meta: Path, jobs: Callable[[Path], Jobs], workers: int, only: int | None
) -> None:
    """Train what the rows lack, one process at a time, and say how many trainings are left.

    Args:
        name: of the folder under outputs/ that the trainings use.
        jobs: makes every training of the benchmark, and what they have in common, for that folder.
        only: end after so many.
    """
    folder = (Path("outputs") / name).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock").acquire(timeout=0):
            whole, common = jobs(folder)
            remember(meta, common, run_facts(workers))
            left = run_missing(rows, whole, workers, only)
    except Timeout:
        sys.exit("another process trains these rows: wait for it")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on from here")
    print(f"{left} trainings are left")


def rows_so_far(path: Path) -> list[Row]:
    """The rows of trainings that have ended."""
    if not path.exists():
        sys.exit(f"{path} has no rows yet: train first")
    return read_rows(path)


def composed_jobs(
    folder: Path, wanted: Sequence[Sequence[str]], base: Sequence[str], recipe: str = RECIPE
) -> Jobs:
    """A training for each list of overrides, and what they have in common: corpus and model.

    Args:
        base: overrides that come before them, everywhere.
        recipe: the option that these are added to.
    """
    base = (f"recipe={recipe}", *base)
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from aero_search.app.sweeper import Compose
    from aero_search.config.hydra_main import read_request
    from aero_search.config.paths import conf_dir
    from aero_search.data import prepare

    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        request = read_request(compose("config", overrides=list(base)))
        corpus = prepare(request.data, request.architecture.vocab_size)
        master = compose("config", return_hydra_config=True)
        build = Compose(
            GlobalHydra.instance().config_loader(), master, tuple(base), corpus.fingerprint
        ).quick()
        found = [Job(build(tuple(overrides)), corpus.folder, folder) for overrides in wanted]
    return found, {"corpus fingerprint": corpus.fingerprint, "model": request.composed["model"]}
