"""One operation brought to MLflow, such that bringing it twice leaves what bringing it once does.

Runs carry our own name for them as a tag, by which a run is looked for before it is created; points of a metric
that the run has already are left out; parameters, tags, files and ends replace what they find.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from aero_search.passwords import masked
from aero_search.tracking import store
from aero_search.tracking.operations import UNSENT, Batch, Create, End, File, Operation, Point, Text, Views
from aero_search.tracking.spec import TrackingSpec

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARENT = "mlflow.parentRunId"
# Our own name for a run, so that it is found again whoever created it.
OWN_NAME = "aero.run"
# What MLflow answers where the same question will always get the same answer.
_FINAL = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS"}
# A file that is gone, or an artifact folder that only the server may write to.
_FINAL_ERRORS = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


_PLAIN = {"Connection refused": "nothing listens there", "timed out": "no answer in time"}


class UnknownRunError(Exception):
    """The store has no run of that name of ours."""


class Delivery:
    """A connection to a store; every method raises whatever MLflow raises."""

    def __init__(self, spec: TrackingSpec, output_dir: Path) -> None:
        self._spec, self._output_dir = spec, output_dir
        self._client: MlflowClient | None = None
        self._process = os.getpid()
        self._experiment: str | None = None
        self._ids: dict[str, str] = {}
        # Runs that were begun here hold nothing that was not sent here.
        self._begun: set[str] = set()
        self._points: dict[str, dict[str, set[tuple[int, int]] | None]] = {}

    def initialize(self) -> None:
        """Make the store and its experiment, see `store.initialize`."""
        self._experiment = store.initialize(self._spec, self._output_dir)

    def known(self, run: str) -> str:
        """The store's id of a run, our own name where that is not known here."""
        return self._ids.get(run, run)

    def exists(self, run: str) -> bool:
        """Whether the store has a run that is not deleted."""
        from mlflow.exceptions import MlflowException

        try:
            run_id = self._id(run)
            return bool(self._open().get_run(run_id).info.lifecycle_stage == "active")
        except UnknownRunError:
            return False
        except MlflowException as problem:
            if problem.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise

    def deliver(self, operation: Operation, again: bool = False) -> None:
        """Bring one operation.

        Args:
            again: it may have been brought before.

        Raises:
            UnknownRunError: it is about a run that the store does not have.
        """
        match operation:
            case Create():
                self._create(operation, again)
            case Batch():
                self._batch(operation, again)
            case File():
                self._open().log_artifact(self._id(operation.run), operation.path)
            case Text():
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / operation.name
                    path.write_text(operation.text, encoding="utf-8")
                    self._open().log_artifact(self._id(operation.run), str(path))
            case Views():
                self._tag(operation)
            case End(status="RUNNING"):
                self._open().update_run(self._id(operation.run), status="RUNNING")
            case End():
                self._open().set_terminated(self._id(operation.run), operation.status, operation.time_ms)

    def _create(self, operation: Create, again: bool) -> None:
        if again and (found := self._find(operation.run)) is not None:
            self._ids[operation.run] = found
            return
        tags = {**operation.tags, OWN_NAME: operation.run.removeprefix(UNSENT)}
        if operation.parent is not None:
            # A run without its parent is better than none.
            with contextlib.suppress(UnknownRunError):
                tags[PARENT] = self._id(operation.parent)
        created = self._open().create_run(
            self._experiment_id(), start_time=operation.time_ms, tags=tags, run_name=operation.name
        )
        self._ids[operation.run] = created.info.run_id
        self._begun.add(created.info.run_id)

    def _batch(self, operation: Batch, again: bool) -> None:
        from mlflow.entities import Metric, Param, RunTag

        run = self._id(operation.run)
        points = self._new(run, operation.metrics) if again else operation.metrics
        self._open().log_batch(
            run,
            metrics=[Metric(p.name, p.value, p.time_ms, p.step) for p in points],
            params=[Param(name, value) for name, value in operation.params.items()],
            tags=[RunTag(name, value) for name, value in operation.tags.items()],
        )

    def _tag(self, operation: Views) -> None:
        client, experiment = self._open(), self._experiment_id()
        there = client.get_experiment(experiment).tags
        for name, value in operation.tags.items():
            if there.get(name) != value and not (name in operation.keep and name in there):
                client.set_experiment_tag(experiment, name, value)

    def _new(self, run: str, points: tuple[Point, ...]) -> tuple[Point, ...]:
        """The points that a run does not have yet, told by metric, step and time."""
        if run in self._begun:
            return points
        if run not in self._points:
            # None: some are there, not yet asked which.
            self._points[run] = dict.fromkeys(self._open().get_run(run).data.metrics)
        known = self._points[run]
        for name in {point.name for point in points}:
            if name in known and known[name] is None:
                history = self._open().get_metric_history(run, name)
                known[name] = {(metric.step, metric.timestamp) for metric in history}
        return tuple(p for p in points if (p.step, p.time_ms) not in (known.get(p.name) or ()))

    def _id(self, run: str) -> str:
        if not run.startswith(UNSENT):
            return run
        if run not in self._ids:
            found = self._find(run)
            if found is None:
                raise UnknownRunError(f"the run {run} was never created")
            self._ids[run] = found
        return self._ids[run]

    def _find(self, run: str) -> str | None:
        own = run.removeprefix(UNSENT)
        found = self._open().search_runs(
            [self._experiment_id()], f"tags.`{OWN_NAME}` = '{own}'", max_results=1
        )
        return str(found[0].info.run_id) if found else None

    def _open(self) -> MlflowClient:
        # A connection does not survive a fork.
        if self._client is None or self._process != os.getpid():
            store.load()
            self._client, self._process = store.client(self._spec, self._output_dir), os.getpid()
        return self._client

    def _experiment_id(self) -> str:
        if self._experiment is None:
            self.initialize()
        assert self._experiment is not None
        return self._experiment


def final(problem: Exception) -> bool:
    """Whether trying again later would fail the same way."""
    return (
        isinstance(problem, (UnknownRunError, *_FINAL_ERRORS))
        or getattr(problem, "error_code", None) in _FINAL
    )


def sentence(problem: Exception) -> str:
    """Kind and first line of an error, short enough for one line; what everyone meets in plain words."""
    for mark, words in _PLAIN.items():
        if mark in str(problem):
            return words
    lines = masked(str(problem)).strip().splitlines()
    text = lines[0] if lines else ""
    return f"{type(problem).__name__}: {text[:160]}{'…' if len(text) > 160 else ''}"
