"""A process that trains as one of the ranks above 0; `ranks` starts it, with its work as JSON on stdin."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from aero_search.architecture import Architecture
from aero_search.data.corpus import Corpus
from aero_search.init.recovery import Recovery
from aero_search.schema import from_mapping
from aero_search.training.compute import Compute
from aero_search.training.job import Job, Place
from aero_search.training.ranks import leave_group
from aero_search.training.recipe import Recipe
from aero_search.training.run import fit


def main() -> None:
    """Train as one of the ranks above 0."""
    said = json.loads(sys.stdin.read())
    _stop_with(said["parent"])
    job = Job(
        architecture=from_mapping(Architecture, said["architecture"]),
        recipe=from_mapping(Recipe, said["recipe"]),
        corpus=Corpus.open(said["corpus"]),
        folder=Path(said["folder"]),
        compute=from_mapping(Compute, said["compute"]),
        threads=said["threads"],
        recovery=None if said["recovery"] is None else Recovery.of_message(said["recovery"]),
    )
    fit(job, Place(said["rank"], said["port"]), ())
    leave_group()


def _stop_with(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, name="stop-with-rank-0", daemon=True).start()


if __name__ == "__main__":
    main()
