"""How much of its time a search trained: what Slurm and Ray call the utilization of its workers."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Utilization:
    """One launch of workers, from the first step of its first training to the end of its last.

    Attributes:
        workers: as many as were to be at work in that time.
        span: of that time, seconds.
        share: of `workers` times `span` that was training and validation, 0 to 1.
        pause: median of the seconds between two trainings of one worker; None where no worker had two.
    """

    workers: int
    span: float
    share: float
    pause: float | None


def utilization(trials: Sequence[FrozenTrial], launch_id: str, workers: int) -> Utilization | None:
    """From the trials that the workers of a launch have ended; None where there are none.

    A training that went on from a checkpoint counts its seconds since its trial was claimed, at most. A worker that
    took the place of another is one more in `pause`, not in `workers`.
    """
    by_worker: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for trial in trials:
        worker, seconds = trial.user_attrs.get("worker", ""), trial.user_attrs.get("seconds")
        if seconds is None or trial.datetime_complete is None or not worker.startswith(launch_id):
            continue
        end, trial_seconds = trial.datetime_complete.timestamp(), trial.duration
        assert trial_seconds is not None, "a trial that is complete has begun"
        by_worker[worker].append((end - min(seconds, trial_seconds.total_seconds()), end))
    if not by_worker:
        return None
    spans = [sorted(found) for found in by_worker.values()]
    first, last = min(found[0][0] for found in spans), max(found[-1][1] for found in spans)
    trained = sum(end - start for found in spans for start, end in found)
    pauses = [later[0] - earlier[1] for found in spans for earlier, later in pairwise(found)]
    return Utilization(
        workers=workers,
        span=last - first,
        share=trained / (workers * (last - first)),
        pause=statistics.median(pauses) if pauses else None,
    )
