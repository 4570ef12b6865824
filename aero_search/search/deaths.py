"""What is raised when the process or the machine of a worker is gone, or its job's time is up."""

from __future__ import annotations

# Of joblib, Ray and submitit; named, not imported: any of them may be missing here.
_DEATHS = {
    "TerminatedWorkerError",
    "BrokenProcessPool",
    "WorkerCrashedError",
    "NodeDiedError",
    "LocalRayletDiedError",
    "ObjectLostError",
    "OutOfMemoryError",
    "UncompletedJobError",
}


def is_death(problem: BaseException) -> bool:
    """Whether a launcher says by it that a worker died."""
    return any(kind.__name__ in _DEATHS for kind in type(problem).__mro__)


def is_time_up(problem: BaseException) -> bool:
    """Whether submitit ends a worker by it, from a signal and so in the middle of anything; see its
    `SignalHandler.checkpoint_and_try_requeue`.

    What a function raises that submits jobs of its own has the same type.
    """
    return type(problem).__name__ == "UncompletedJobError" and "not requeued" in str(problem)
