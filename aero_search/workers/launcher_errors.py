"""What is raised when the process or the machine of a worker is gone, or its job's time is up."""

from __future__ import annotations

# Of joblib, which ends all workers when one dies; its TerminatedWorkerError is one. Named, not imported, like the
# others': any of them may be missing here.
_ENDS_ALL = {"BrokenProcessPool"}
# Of Ray and submitit, which tell of the first and leave the others alone.
_ENDS_ONE = {
    "WorkerCrashedError",
    "NodeDiedError",
    "LocalRayletDiedError",
    "ObjectLostError",
    "OutOfMemoryError",
    "UncompletedJobError",
}


def is_death(problem: BaseException) -> bool:
    """Whether a launcher says by it that a worker died."""
    return _is_any(problem, _ENDS_ALL | _ENDS_ONE)


def ends_all(problem: BaseException) -> bool:
    """Whether the workers that were placed with the dead one are gone as well."""
    return _is_any(problem, _ENDS_ALL)


def is_time_up(problem: BaseException) -> bool:
    """Whether submitit ends a worker by it, from a signal and so in the middle of anything; see its
    `SignalHandler.checkpoint_and_try_requeue`.

    What a function raises that submits jobs of its own has the same type.
    """
    return type(problem).__name__ == "UncompletedJobError" and "not requeued" in str(problem)


def _is_any(problem: BaseException, names: set[str]) -> bool:
    return any(kind.__name__ in names for kind in type(problem).__mro__)
