"""A folder of an MLflow store by its address: `models:/NAME/VERSION`, `models:/NAME@ALIAS`, `runs:/RUN/PATH`.

It is copied once, whole, under the output folder: runs and servers go, and who trains again names the copy. Nothing
of it is loaded here.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aero_search.errors import RequestError
from aero_search.integrity import digest
from aero_search.invocation import install
from aero_search.passwords import masked
from aero_search.tracking import store
from aero_search.tracking.spec import TrackingSpec

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Beside studies, under output_dir.
DOWNLOADS = "checkpoints"
SCHEMES = ("models:/", "runs:/")
_VERSION = re.compile(r"models:/([\w .+-]+)/(\d+)")
_ALIAS = re.compile(r"models:/([\w .+-]+)@([\w.-]+)")
_RUN = re.compile(r"runs:/([\da-f]{32})/([\w.+-]+(?:/[\w.+-]+)*)", re.ASCII)
_LOGGED = re.compile(r"models:/(m-[\da-f]{32})", re.ASCII)


class _Found(NamedTuple):
    """Where an artifact lies, and what tells it from another one that had the same address."""

    location: str
    identity: str


def fetch(address: str, spec: TrackingSpec, output_dir: Path) -> Path:
    """The folder of an address, copied under `output_dir` unless it is there already.

    Raises:
        RequestError: there is none, or the store cannot be read; one sentence without the address.
    """
    uri = spec.resolved_uri(output_dir)
    if not any(pattern.fullmatch(address) for pattern in (_VERSION, _ALIAS, _RUN)) or ".." in address:
        raise RequestError("write models:/NAME/VERSION, models:/NAME@ALIAS or runs:/RUN_ID/PATH")
    path = store.sqlite_path(uri)
    if path is not None and not path.is_file():
        raise RequestError(
            f"there is no MLflow store at {path}: name it with tracking.uri, or its output_dir"
        )
    try:
        store.load()
    except ImportError:
        raise RequestError(f"an MLflow address needs mlflow: {install('')}, or name a local folder") from None
    from mlflow.exceptions import MlflowException

    try:
        found = _locate(store.client(spec, output_dir), address)
        return _copied(found, uri, output_dir / DOWNLOADS)
    except (MlflowException, OSError) as problem:
        said = masked(" ".join(str(problem).split())[:200])
        raise RequestError(f"the store {masked(uri)} does not give it ({said})") from problem


def _locate(client: MlflowClient, address: str) -> _Found:
    if run := _RUN.fullmatch(address):
        return _of_run(client, run[1], run[2])
    if version := _VERSION.fullmatch(address):
        model = client.get_model_version(version[1], version[2])
    else:
        alias = _ALIAS.fullmatch(address)
        assert alias is not None
        model = client.get_model_version_by_alias(alias[1], alias[2])
    source = str(model.source)
    if logged := _LOGGED.fullmatch(source):
        source = str(client.get_logged_model(logged[1]).artifact_location)
    elif run := _RUN.fullmatch(source):
        source = _of_run(client, run[1], run[2]).location
    return _Found(source, f"{model.name} {model.version} {model.creation_timestamp} {model.source}")


def _of_run(client: MlflowClient, run_id: str, path: str) -> _Found:
    """An artifact of a run, or else the model that it logged under that name."""
    run = client.get_run(run_id)
    parent = path.rpartition("/")[0]
    if any(file.path == path and file.is_dir for file in client.list_artifacts(run_id, parent or None)):
        return _Found(f"{str(run.info.artifact_uri).rstrip('/')}/{path}", f"{run_id} {path}")
    models = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run_id}'")
    for model in models:
        if model.name == path:
            return _Found(str(model.artifact_location), str(model.model_id))
    raise RequestError(f"run {run_id} has no folder and no model {path} among its artifacts")


def _copied(found: _Found, uri: str, root: Path) -> Path:
    from filelock import FileLock
    from mlflow.artifacts import download_artifacts

    root.mkdir(parents=True, exist_ok=True)
    key = digest([f"{masked(uri)}\n{found.identity}\n{found.location}".encode()])
    folder, partial = root / key, root / f".{key}.partial"
    # Workers that start together wait for the one that copies; what a killed one left is made again.
    with FileLock(root / f"{key}.lock"):
        if not folder.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            copy = download_artifacts(artifact_uri=found.location, dst_path=str(partial), tracking_uri=uri)
            if not Path(copy).is_dir():
                raise RequestError("it is a file: name the folder that the weights lie in")
            Path(copy).rename(folder)
            shutil.rmtree(partial, ignore_errors=True)
    return folder
