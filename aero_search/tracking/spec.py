"""Where runs are logged: the group `tracking`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aero_search.tracking.address import sqlite_address


@dataclass(frozen=True)
class TrackingSpec:
    """The MLflow store.

    Attributes:
        kind: `none` logs nothing and needs no mlflow.
        uri: of a tracking server; None is a SQLite store under the output folder.
        experiment: MLflow's experiment.
    """

    kind: Literal["mlflow", "none"]
    uri: str | None
    experiment: str

    def resolved_uri(self, output_dir: Path) -> str:
        """The store's address: `uri`, or the SQLite file that every command under `output_dir` shares."""
        return self.uri or sqlite_address(output_dir / "mlflow.db")
