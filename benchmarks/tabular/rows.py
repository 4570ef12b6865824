"""The table on disk: one line a training, added as it ends, and beside it what all of them have in common.

A line that was cut off by a kill or a power cut is dropped when the table is opened for writing again.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, get_args

from aero_search.config.architecture import ModelGroup
from aero_search.errors import RequestError
from aero_search.training.result import Verdict

ROWS_FILE, META_FILE = "table.csv", "table.json"
# (step, perplexity, processor seconds since the training began) at each validation.
Curve = tuple[tuple[int, float, float], ...]


@dataclass(frozen=True)
class Row:
    """One training.

    Attributes:
        overrides: what names the network in the space.
        notation: the network in the paper's notation.
        seed: of its weights; the batches are the same for all.
        verdict: `finished`, `plateau` or `diverged`.
        perplexity: on the held-out split, None when diverged.
        seconds: processor seconds of training and validation on one thread, which other processes disturb least.
        steps: taken.
        parameters: weights.
        curve: every validation.
    """

    overrides: tuple[str, ...]
    notation: str
    seed: int
    verdict: Verdict
    perplexity: float | None
    seconds: float
    steps: int
    parameters: int
    curve: Curve

    @property
    def name(self) -> tuple[tuple[str, ...], int]:
        """What is trained once."""
        return self.overrides, self.seed

    def line(self) -> str:
        """As CSV, with its line end."""
        curve = [[step, round(value, 4), round(seconds, 2)] for step, value, seconds in self.curve]
        cells = {
            "overrides": " ".join(self.overrides),
            "notation": self.notation,
            "seed": self.seed,
            "verdict": self.verdict,
            "perplexity": "" if self.perplexity is None else f"{self.perplexity:.4f}",
            "seconds": f"{self.seconds:.2f}",
            "steps": self.steps,
            "parameters": self.parameters,
            "curve": json.dumps(curve, separators=(",", ":")),
        }
        text = io.StringIO()
        csv.DictWriter(text, COLUMNS, lineterminator="\n").writerow(cells)
        return text.getvalue()


COLUMNS = tuple(field.name for field in fields(Row))
_VERDICTS: Mapping[str, Verdict] = {verdict: verdict for verdict in get_args(Verdict)}


def read_rows(path: Path) -> list[Row]:
    """Every row of a table.

    Raises:
        RequestError: the file is missing, or a line is no row.
    """
    if not path.is_file():
        raise RequestError(f"{path} is no table: build it with python -m benchmarks.tabular.build")
    with path.open(newline="") as file:
        reader = csv.DictReader(file, strict=True)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise RequestError(f"{path} has the columns {reader.fieldnames}, not {', '.join(COLUMNS)}")
        return [_row(cells, f"{path}, line {reader.line_num}") for cells in reader]


def _row(cells: Mapping[str, str], where: str) -> Row:
    try:
        return Row(
            overrides=tuple(cells["overrides"].split()),
            notation=cells["notation"],
            seed=int(cells["seed"]),
            verdict=_VERDICTS[cells["verdict"]],
            perplexity=float(cells["perplexity"]) if cells["perplexity"] else None,
            seconds=float(cells["seconds"]),
            steps=int(cells["steps"]),
            parameters=int(cells["parameters"]),
            curve=tuple((int(s), float(p), float(t)) for s, p, t in json.loads(cells["curve"])),
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise RequestError(f"{where} is not a training: {problem}") from problem


def mend(path: Path) -> None:
    """Make a table ready for more lines: start it, or drop the line that was being written at a kill."""
    if not path.is_file() or b"\n" not in (held := path.read_bytes()):
        path.write_text(",".join(COLUMNS) + "\n")
    elif not held.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(held.rindex(b"\n") + 1)


def add(path: Path, row: Row) -> None:
    """Append one row; it is on the disk when this returns."""
    with path.open("a") as file:
        file.write(row.line())
        file.flush()
        os.fsync(file.fileno())


def _complete(name: str, value: Any) -> Any:
    """The sizes of a model with the fields that came after some tables were begun, at their defaults."""
    if name != "model" or not isinstance(value, Mapping):
        return value
    later = {f.name: f.default for f in fields(ModelGroup) if f.default is not MISSING}
    return {**later, **value}


def remember(path: Path, common: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Write what all rows share, and add a run's software and machine to those that built them.

    Raises:
        RequestError: the table was begun with something else; names it.
    """
    runs: list[Any] = []
    if path.is_file():
        known = json.loads(path.read_text())
        for name, value in common.items():
            if _complete(name, known.get(name)) != _complete(name, value):
                raise RequestError(
                    f"{path} was begun with {name}={known.get(name)}, not {value}: name another --folder, or "
                    "go on with what it was begun with"
                )
        runs = [r for r in known["runs"] if r != run]
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({**common, "runs": [*runs, run]}, indent=1) + "\n")
    partial.replace(path)
