"""One training as data: what every process that takes part in it needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aero_search.architecture import Architecture
from aero_search.data.corpus import Corpus
from aero_search.init.recovery import Recovery
from aero_search.training.compute import Compute
from aero_search.training.recipe import Recipe


@dataclass(frozen=True)
class Job:
    """What every rank needs to know of one training; `folder` is the candidate's."""

    architecture: Architecture
    recipe: Recipe
    corpus: Corpus
    folder: Path
    compute: Compute
    threads: int | None
    recovery: Recovery | None = None


@dataclass(frozen=True)
class Place:
    """Which of a job's processes this is, and where rank 0 listens."""

    rank: int
    port: int
