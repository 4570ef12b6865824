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
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from aero_search.data import prepare
from aero_search.data.corpus import Corpus
from aero_search.errors import AeroSearchError
from aero_search.schema import to_mapping
from aero_search.search.candidate import make_candidate
from benchmarks.tabular.networks import SPACE, Networks, load_networks
from benchmarks.tabular.rows import META_FILE, ROWS_FILE, remember
from benchmarks.tabular.trainings import Job, prepare_environment, run_facts, run_missing

# Every fourth network is trained with seed 1 as well.
REPEATED = 4


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
    from aero_search.training.health import Unigram

    path = folder / ROWS_FILE
    remember(
        folder / META_FILE,
        common={
            "corpus fingerprint": corpus.fingerprint,
            "unigram_perplexity": Unigram.of(corpus).perplexity,
            "model": networks.request.composed["model"],
            "recipe": to_mapping(networks.request.recipe),
            "space": {p.name: to_mapping(p) for p in networks.space.parameters},
        },
        run=run_facts(workers),
    )
    return run_missing(path, jobs(networks, corpus, folder / "training"), workers, only)


def main() -> None:
    prepare_environment()
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
