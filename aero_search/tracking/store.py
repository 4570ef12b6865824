"""The MLflow store: made once, opened by many, kept quiet."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from filelock import FileLock

from aero_search.tracking.spec import TrackingSpec

if TYPE_CHECKING:
    from mlflow import MlflowClient

# A setting of the user's own wins. Timeouts: a search waits for no server (MLflow's default is 7 retries of
# 120 s); the rest keeps MLflow from sending usage reports and from printing hints into our output.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "GIT_PYTHON_REFRESH": "quiet",
}


def quiet() -> None:
    """Set MLflow's environment and loggers for this process and its children; call before mlflow's import."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    for name in ("alembic", "mlflow", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)


def load() -> None:
    """Import mlflow, quietly; 1.5 s of CPU the first time."""
    quiet()
    importlib.import_module("mlflow")


def sqlite_path(uri: str) -> Path | None:
    """The file of a SQLite address, None for any other store."""
    parts = urlsplit(uri)
    return Path(unquote(parts.path[1:])) if parts.scheme == "sqlite" and parts.path else None


def client(spec: TrackingSpec, output_dir: Path) -> MlflowClient:
    """Open the store. A fresh SQLite store must have been initialized: it is not made here by many at once.

    Raises:
        Exception: whatever MLflow raises where the store cannot be opened.
    """
    quiet()
    from mlflow import MlflowClient

    uri = spec.resolved_uri(output_dir)
    # The registry is the store's own, whatever this process has set for MLflow.
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def initialize(spec: TrackingSpec, output_dir: Path) -> str:
    """Create database and experiment where they are missing.

    Returns:
        The experiment's id.

    Raises:
        Exception: whatever MLflow raises where the store cannot be made.
    """
    uri = spec.resolved_uri(output_dir)
    artifacts = (output_dir / "mlflow-artifacts").resolve()
    path = sqlite_path(uri)
    if path is None:
        # A server keeps files itself; a database alone has no place for them.
        alone = urlsplit(uri).scheme.partition("+")[0] == "postgresql"
        return _experiment(client(spec, output_dir), spec.experiment, artifacts if alone else None)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two searches may start in one folder; MLflow's migrations do not bear that.
    with FileLock(f"{path}.lock", timeout=120):
        _write_ahead(path)
        return _experiment(client(spec, output_dir), spec.experiment, artifacts)


def _write_ahead(path: Path) -> None:
    """Switch the database to write-ahead logging, which stays with the file: readers never block writers.

    MLflow itself waits up to 20 s for a lock (busy_timeout).
    """
    with contextlib.closing(sqlite3.connect(path, timeout=20)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _experiment(mlflow: MlflowClient, name: str, artifacts: Path | None) -> str:
    """The experiment's id; its artifact folder, absolute, is fixed when it is created."""
    found = mlflow.get_experiment_by_name(name)
    if found is None:
        location = artifacts.as_uri() if artifacts else None
        return str(mlflow.create_experiment(name, artifact_location=location))
    if found.lifecycle_stage == "deleted":
        mlflow.restore_experiment(found.experiment_id)
    return str(found.experiment_id)
