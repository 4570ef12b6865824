"""Brings operations to MLflow, and keeps a store that fails from ever reaching the search."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from aero_search.tracking import store
from aero_search.tracking.operations import Batch, Create, End, File, Operation, Text
from aero_search.tracking.spec import TrackingSpec

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

# Runs that the store does not know (yet).
UNSENT = "unsent-"
# A call that failed after s seconds is followed by PATIENCE * s seconds without any (at most MAX_PAUSE): a
# server that does not answer costs a search 2 % of its time, and one that refuses at once is asked each time.
PATIENCE, MAX_PAUSE = 50.0, 600.0


class Sender:
    """Sends operations one by one; `send` says whether that worked and never raises.

    The first failure of a process is said once on stderr. `unsent` counts what was not delivered; here is the
    place where it would be kept for later.
    """

    def __init__(self, spec: TrackingSpec, output_dir: Path) -> None:
        self._spec, self._output_dir = spec, output_dir
        self._client: MlflowClient | None = None
        self._process = os.getpid()
        self._experiment: str | None = None
        self._ids: dict[str, str] = {}
        self._warned = False
        self._silent_until = 0.0
        self.unsent = 0

    def initialize(self) -> bool:
        """Make the store and its experiment, see `store.initialize`."""

        def make() -> bool:
            self._experiment = store.initialize(self._spec, self._output_dir)
            return True

        return self._guarded(make) or False

    def run_id(self, run: str) -> str:
        """The store's id of a run, our own name where the store does not know it."""
        return self._ids.get(run, run)

    def exists(self, run_id: str) -> bool | None:
        """Whether the store has a run; None where it cannot be asked."""
        if run_id.startswith(UNSENT):
            return False

        def ask() -> bool:
            from mlflow.exceptions import MlflowException

            try:
                return bool(self._open().get_run(run_id).info.lifecycle_stage == "active")
            except MlflowException as problem:
                if problem.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return False
                raise

        return self._guarded(ask)

    def send(self, *operations: Operation) -> bool:
        """Deliver in order; False where one or more were not delivered."""
        delivered = True
        for operation in operations:
            if self.run_id(operation.run).startswith(UNSENT) and not isinstance(operation, Create):
                done = False
            else:
                done = self._guarded(partial(self._deliver, operation)) or False
            if not done:
                self.unsent += 1
                delivered = False
        return delivered

    def _deliver(self, operation: Operation) -> bool:
        mlflow = self._open()
        run = self.run_id(operation.run)
        match operation:
            case Create():
                created = mlflow.create_run(
                    self._experiment_id(), tags=dict(operation.tags), run_name=operation.name
                )
                self._ids[operation.run] = created.info.run_id
            case Batch():
                from mlflow.entities import Metric, Param, RunTag

                mlflow.log_batch(
                    run,
                    metrics=[Metric(p.name, p.value, p.time_ms, p.step) for p in operation.metrics],
                    params=[Param(name, value) for name, value in operation.params.items()],
                    tags=[RunTag(name, value) for name, value in operation.tags.items()],
                )
            case File():
                mlflow.log_artifact(run, str(operation.path), operation.folder)
            case Text():
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / operation.name
                    path.write_text(operation.text, encoding="utf-8")
                    mlflow.log_artifact(run, str(path))
            case End(status="RUNNING"):
                mlflow.update_run(run, status="RUNNING")
            case End():
                mlflow.set_terminated(run, operation.status)
        return True

    def _open(self) -> MlflowClient:
        # A connection does not survive a fork.
        if self._client is None or self._process != os.getpid():
            self._client, self._process = store.client(self._spec, self._output_dir), os.getpid()
        return self._client

    def _experiment_id(self) -> str:
        if self._experiment is None:
            self._experiment = store.initialize(self._spec, self._output_dir)
        return self._experiment

    def _guarded(self, call: Callable[[], T]) -> T | None:
        """The call's answer; None where it failed, or where the store is given a pause."""
        if time.monotonic() < self._silent_until:
            return None
        started = time.monotonic()
        try:
            store.load()
            started = time.monotonic()
            return call()
        except Exception as problem:
            now = time.monotonic()
            self._silent_until = now + min(MAX_PAUSE, PATIENCE * (now - started))
            self._warn(problem)
            return None

    def _warn(self, problem: Exception) -> None:
        if self._warned:
            return
        self._warned = True
        uri = self._spec.resolved_uri(self._output_dir)
        print(
            f"aero-search: the tracking store {uri} does not take what is logged, "
            f"the work goes on without it ({_sentence(problem)})",
            file=sys.stderr,
        )


def _sentence(problem: Exception) -> str:
    """Kind and first line of an error, short enough for one line."""
    lines = str(problem).strip().splitlines()
    text = lines[0] if lines else ""
    return f"{type(problem).__name__}: {text[:160]}{'…' if len(text) > 160 else ''}"
