"""Workers that are killed every few seconds; each prints nothing and leaves what it did in the study's folder.

Run as `python -m tests.workers.chaos ADDRESS FOLDER N_TRIALS PAUSE SECONDS`: forks four workers, kills one of them
with -9 after every PAUSE seconds for SECONDS, replaces it, and then waits for all. Prints how many it killed.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import random
import sys
import time
from dataclasses import replace
from pathlib import Path

import tests.search.fakes as fakes
from aero_search.search.study import Claim, Study
from aero_search.training.result import RESULT_FILE
from aero_search.workers.database import create_study, load_study, open_registry, open_storage

WORKERS = 4
STEPS, STEP_SECONDS = 20, 0.05
HEARTBEAT = 1.0
NAME = "chaos"
_OTHERS_TRAIN = 3


def prepare(address: str, folder: Path) -> None:
    """Create the study."""
    create_study(open_storage(folder, address), NAME, fakes.OBJECTIVE.metrics)


def open_study(address: str, folder: Path) -> Study:
    study, storage = load_study(folder, NAME, address, wait=True)
    registry = open_registry(storage, NAME, folder, HEARTBEAT)
    return Study(study, fakes.OBJECTIVE, folder, fakes.price, registry=registry, retries=10**6)


def train(claim: Claim) -> None:
    """Takes a second, in steps each of which leaves a checkpoint; tells of every step and of every second end."""
    claim.folder.mkdir(parents=True, exist_ok=True)
    with (claim.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (claim.folder / "together").touch()
        checkpoint = claim.folder / "checkpoint.steps"
        done = int(checkpoint.read_text()) if checkpoint.exists() else 0
        for step in range(done + 1, STEPS + 1):
            time.sleep(STEP_SECONDS)
            with (claim.folder / "steps").open("a") as steps:
                steps.write(f"{step}\n")
            partial = claim.folder / "partial"
            partial.write_text(str(step))
            partial.replace(checkpoint)
        mine = claim.folder / f"mine-{os.getpid()}"
        mine.mkdir(exist_ok=True)
        fakes.trained(claim.candidate).write(mine)
        try:
            os.link(mine / RESULT_FILE, claim.folder / RESULT_FILE)
        except FileExistsError:
            (claim.folder / "twice").touch()


def work(address: str, folder: Path, n_trials: int) -> None:
    study = open_study(address, folder)
    spec = replace(fakes.spec(n_trials), workers=WORKERS)
    with study.registry.enter() as worker:
        while claim := study.claim(worker, spec, fakes.SPACE, fakes.compose):
            train(claim)
            study.tell(claim.trial.number, fakes.trained(claim.candidate))
    sys.exit(_OTHERS_TRAIN if study.training() else 0)


def main(address: str, folder: Path, n_trials: int, pause: float, seconds: float) -> None:
    context = multiprocessing.get_context(
        "fork"
    )  # a fresh interpreter would take longer to start than to live
    rng = random.Random(0)

    def start() -> multiprocessing.process.BaseProcess:
        process = context.Process(target=work, args=(address, folder, n_trials))
        process.start()
        return process

    workers = [start() for _ in range(WORKERS)]
    end, killed = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        time.sleep(pause * rng.uniform(0.5, 1.5))
        victim = rng.randrange(WORKERS)
        killed += workers[victim].is_alive()
        workers[victim].kill()
        workers[victim].join()
        workers[victim] = start()
    # The last victim's trial may be noticed only when all others have found nothing left to claim.
    while workers:
        ended = workers.pop()
        ended.join()
        assert ended.exitcode in (0, _OTHERS_TRAIN), ended.exitcode
        if ended.exitcode == _OTHERS_TRAIN and not workers:
            time.sleep(1)
            workers.append(start())
    print(killed)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]))
