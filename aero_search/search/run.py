"""Trains a candidate into its folder: files first, then the training, then the tracking run's end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aero_search.data.corpus import Corpus
from aero_search.fail_points import passes
from aero_search.search.candidate import Candidate
from aero_search.search.files import write_candidate
from aero_search.tracking.tracker import CandidateRun
from aero_search.training.compute import Compute
from aero_search.training.progress import Halt, Listener
from aero_search.training.result import RESULT_FILE, WEIGHTS_FILE, Result

# Written by `training.run.train` into the candidate's folder.
_TRAINED = (WEIGHTS_FILE, RESULT_FILE)


def train_candidate(
    candidate: Candidate,
    corpus: Corpus,
    folder: Path,
    tracked: CandidateRun,
    listeners: Sequence[Listener] = (),
    threads: int | None = None,
    compute: Compute | None = None,
    halt: Halt | None = None,
) -> Result:
    """Train a candidate; its folder then holds config, architecture, weights and result.

    Args:
        tracked: its run in the tracking store, closed here whatever happens.
        listeners: hear about the training beside the tracking run.
        threads: cores a process uses.
        compute: the devices; None is one, the best there is.
        halt: may stop the training at a validation; the same call goes on from there.
    """
    try:
        # torch and lightning take seconds to import: only where something is trained, once a process.
        from aero_search.training.run import train

        files = write_candidate(candidate, folder)
        result = train(
            candidate.architecture,
            candidate.recipe,
            corpus,
            folder,
            (*listeners, tracked),
            threads,
            compute,
            halt,
            candidate.recovery,
        )
    except KeyboardInterrupt:
        tracked.abandon()
        raise
    except BaseException as problem:
        tracked.fail(f"{type(problem).__name__}: {problem}")
        raise
    tracked.finish(result, [*files, *(folder / name for name in _TRAINED if (folder / name).is_file())])
    passes("run finished")
    return result
