"""What a study's folder keeps of its database, so that `aero-search repair` can make the database again.

`study.json` holds the study's own attributes, `trials/NUMBER.json` one trial as it was claimed and, later, as it
was told. Each carries its checksum. A trial without a file, such as a proposal above a limit, was never trained.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from aero_search.errors import AeroSearchError
from aero_search.integrity import DamagedError, read_sealed, write_sealed
from aero_search.invocation import output_option, typed

STUDY_FILE = "study.json"
TRIALS = "trials"
# The attribute of a failed trial that stands for one without a file.
GAP = "gap"


@dataclass(frozen=True)
class StudyRecord:
    """A study without its trials.

    Attributes:
        directions: `MINIMIZE` or `MAXIMIZE`, one an objective.
        attrs: what this program keeps with it, see `StudyRunner.prepare`.
        system_attrs: what Optuna does.
    """

    directions: tuple[str, ...]
    attrs: Mapping[str, Any]
    system_attrs: Mapping[str, Any]


def require_unused(folder: Path) -> None:
    """Refuse to begin a study in the folder of one that the database has lost.

    Raises:
        AeroSearchError: with the command that puts it back.
    """
    if (folder / STUDY_FILE).exists():
        raise AeroSearchError(_lost(folder))


def lost_studies(output_dir: Path, known: Collection[str]) -> list[str]:
    """The studies whose folders are there and which the database does not know, by name."""
    files = sorted((output_dir / "studies").glob(f"*/{STUDY_FILE}"))
    return [file.parent.name for file in files if file.parent.name not in known]


def _lost(folder: Path) -> str:
    output_dir = folder.parent.parent
    return (
        f"study {folder.name} has its files in {folder} and is not in the database: put it back with "
        f"{typed(f'repair{output_option(output_dir)}')}, or move the folder away"
    )


def write_study(study: optuna.Study, folder: Path) -> Path:
    """Write `study.json` anew."""
    folder.mkdir(parents=True, exist_ok=True)
    said = {
        "directions": [direction.name for direction in study.directions],
        "attrs": study.user_attrs,
        "system_attrs": study._storage.get_study_system_attrs(study._study_id),
    }
    return write_sealed(folder / STUDY_FILE, said)


def read_study(folder: Path) -> StudyRecord:
    """Read `study.json`.

    Raises:
        DamagedError: it is not what was written.
        OSError: it is missing or cannot be read.
    """
    said = read_sealed(folder / STUDY_FILE)
    try:
        directions = tuple(StudyDirection[name].name for name in said["directions"])
        return StudyRecord(directions, dict(said["attrs"]), dict(said["system_attrs"]))
    except (KeyError, TypeError, ValueError) as problem:
        raise DamagedError(f"it is no study: {type(problem).__name__}: {problem}") from problem


def trial_path(folder: Path, number: int) -> Path:
    """Where a study's folder keeps a trial."""
    return folder / TRIALS / f"{number}.json"


def write_trial(trial: FrozenTrial, folder: Path) -> Path:
    """Write a trial as it is now."""
    path = trial_path(folder, trial.number)
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {
        "number": trial.number,
        "state": trial.state.name,
        # JSON has no number for what is not finite.
        "values": None if trial.values is None else [v if math.isfinite(v) else str(v) for v in trial.values],
        "params": {
            name: {
                "value": trial.distributions[name].to_internal_repr(value),
                "of": distribution_to_json(trial.distributions[name]),
            }
            for name, value in trial.params.items()
        },
        "user_attrs": trial.user_attrs,
        "system_attrs": trial.system_attrs,
        "started": _moment(trial.datetime_start),
        "ended": _moment(trial.datetime_complete),
    }
    return write_sealed(path, said)


def read_trial(path: Path) -> FrozenTrial:
    """Read what `write_trial` wrote.

    Raises:
        DamagedError: it is not what was written.
        OSError: it cannot be read.
    """
    said = read_sealed(path)
    try:
        distributions = {name: json_to_distribution(drawn["of"]) for name, drawn in said["params"].items()}
        values = said["values"]
        trial = FrozenTrial(
            number=said["number"],
            state=TrialState[said["state"]],
            value=None,
            values=None if values is None else [float(value) for value in values],
            params={n: d.to_external_repr(said["params"][n]["value"]) for n, d in distributions.items()},
            distributions=distributions,
            user_attrs=dict(said["user_attrs"]),
            system_attrs=dict(said["system_attrs"]),
            intermediate_values={},
            datetime_start=_read_moment(said["started"]),
            datetime_complete=_read_moment(said["ended"]),
            trial_id=-1,
        )
        trial._validate()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
        raise DamagedError(f"it is no trial: {type(problem).__name__}: {problem}") from problem
    if path != trial_path(path.parent.parent, trial.number):
        raise DamagedError(f"it is trial {trial.number}, whose file has another name")
    return trial


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _read_moment(said: str | None) -> datetime | None:
    return None if said is None else datetime.fromisoformat(said)
