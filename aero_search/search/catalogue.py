"""The studies of one store: listed, renamed, archived, deleted. Candidates and their files go with their study."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from aero_search.errors import RequestError
from aero_search.workers.database import load_study, open_registry, study_names
from aero_search.workers.study_files import write_study

# The study's attribute; an archived one is left out of lists, and is never the newest.
ARCHIVED = "archived"
_HEARTBEAT_S = 10.0


@dataclass(frozen=True)
class StudyEntry:
    """One study as a list shows it.

    Attributes:
        training: candidates that living workers have now.
        trained: candidates with a result, stopped and diverged ones among them.
        created: ISO 8601, UTC; empty where the study does not say.
        bytes: of its folder.
    """

    name: str
    training: int
    trained: int
    created: str
    archived: bool
    bytes: int
    folder: str
    command: str


def list_studies(output_dir: Path, address: str | None, archived: bool = False) -> list[StudyEntry]:
    """The studies under `output_dir`, or at the address, oldest first.

    Args:
        archived: list the archived ones too.
    """
    entries = [describe(output_dir, name, address) for name in study_names(output_dir, address)]
    return [entry for entry in entries if archived or not entry.archived]


def listed_names(output_dir: Path, address: str | None) -> list[str]:
    """The names of the studies that are not archived, oldest first."""
    names = study_names(output_dir, address)
    return [n for n in names if not load_study(output_dir, n, address)[0].user_attrs.get(ARCHIVED)]


def describe(output_dir: Path, name: str, address: str | None) -> StudyEntry:
    """One study.

    Raises:
        RequestError: there is none of that name, with the nearest that there is.
    """
    study, storage = load_study(output_dir, name, address)
    folder = output_dir / "studies" / name
    attrs = study.user_attrs
    trials = study.get_trials(deepcopy=False)
    states = [trial.state for trial in trials]
    workers = {t.user_attrs.get("worker", "") for t in trials if t.state == TrialState.RUNNING}
    return StudyEntry(
        name=name,
        training=_living(storage, name, folder, workers),
        trained=sum(state in (TrialState.COMPLETE, TrialState.PRUNED) for state in states),
        created=_moment(attrs),
        archived=bool(attrs.get(ARCHIVED)),
        bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        folder=str(folder),
        command=str(attrs.get("command", "")),
    )


def rename_study(output_dir: Path, old: str, new: str, address: str | None) -> StudyEntry:
    """Give a study another name; its files move along.

    The copy is complete before the old name is given up, so that nothing is lost where this is interrupted.

    Raises:
        RequestError: no such study, the new name is taken, or workers train for it.
    """
    _, storage = load_study(output_dir, old, address)
    source, target = output_dir / "studies" / old, output_dir / "studies" / new
    if new in study_names(output_dir, address) or target.exists():
        raise RequestError(f"to={new} is the name of another study: give one that is free")
    _require_rest(describe(output_dir, old, address))
    optuna.copy_study(from_study_name=old, from_storage=storage, to_storage=storage, to_study_name=new)
    if source.is_dir():
        source.rename(target)
    optuna.delete_study(study_name=old, storage=storage)
    return describe(output_dir, new, address)


def archive_study(output_dir: Path, name: str, address: str | None, archived: bool = True) -> StudyEntry:
    """Leave a study out of lists, or put it back; nothing of it moves.

    Raises:
        RequestError: no such study.
    """
    study, _ = load_study(output_dir, name, address)
    study.set_user_attr(ARCHIVED, archived)
    if (folder := output_dir / "studies" / name).is_dir():
        write_study(study, folder)
    return describe(output_dir, name, address)


def delete_study(output_dir: Path, name: str, address: str | None) -> StudyEntry:
    """Delete a study, its candidates and their weights.

    Returns:
        What it was.

    Raises:
        RequestError: no such study, or workers train for it.
    """
    entry = describe(output_dir, name, address)
    _require_rest(entry)
    _, storage = load_study(output_dir, name, address)
    optuna.delete_study(study_name=name, storage=storage)
    shutil.rmtree(output_dir / "studies" / name, ignore_errors=True)
    return entry


def _require_rest(entry: StudyEntry) -> None:
    if entry.training:
        raise RequestError(
            f"study={entry.name} has {entry.training} candidates in training: wait for its search, or stop it first"
        )


def _living(storage: RDBStorage, name: str, folder: Path, workers: set[str]) -> int:
    """How many of these workers live."""
    known = {worker for worker in workers if worker}
    if not known:
        return 0
    registry = open_registry(storage, name, folder, _HEARTBEAT_S)
    with registry.claim_lock():
        return len(registry.living(known))


def _moment(attrs: dict[str, Any]) -> str:
    created = attrs.get("created")
    if not isinstance(created, int | float):
        return ""
    return datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
