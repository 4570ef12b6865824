"""The task of real trainings: a search asks for a network and is told what its training gave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from aero_search.errors import RequestError
from aero_search.front.pareto import Reference
from aero_search.search.candidate import Candidate, make_candidate
from benchmarks.boxes import FrontBox
from benchmarks.tabular.networks import SPACE, load_networks
from benchmarks.tabular.rows import META_FILE, ROWS_FILE, Row, read_rows
from benchmarks.tasks import OBJECTIVE, Outcome, Task

FOLDER = Path(__file__).parent / "tabular"


class Table(Task):
    """Trainings that were really done.

    A search meets the lowest seed of a network and is judged by the same number. A network that is not in the table
    yet cannot be built.

    Args:
        folder: holds table.csv and table.json.
        space, overrides: what the table was made from.

    Raises:
        RequestError: there is no table, or it is not of this space.
    """

    name = "table"

    def __init__(self, folder: Path = FOLDER, space: Path = SPACE, overrides: Sequence[str] = ()) -> None:
        rows = sorted(read_rows(folder / ROWS_FILE), key=lambda row: -row.seed)
        if not rows:
            raise RequestError(f"{folder / ROWS_FILE} has no rows: build it first")
        meta = json.loads((folder / META_FILE).read_text())
        networks = load_networks(space, overrides)
        self.space = networks.space
        self.recipe = networks.request.recipe
        self._rows: dict[tuple[str, ...], Row] = {row.overrides: row for row in rows}
        # Of what a search can meet: a row of a further seed changes no search.
        met = "".join(row.line() for _, row in sorted(self._rows.items()))
        self.version = hashlib.sha256(met.encode()).hexdigest()[:10]
        unknown = self._rows.keys() - networks.architectures.keys()
        if unknown:
            raise RequestError(
                f"{folder / ROWS_FILE} has {' '.join(min(unknown))}, which is not in {space}: take its own space"
            )
        self._candidates = {
            name: make_candidate(architecture, self.recipe, meta["corpus fingerprint"], name)
            for name, architecture in networks.architectures.items()
            if name in self._rows
        }
        self.pricing = networks.request.pricing
        costs = self.pricing.baseline(networks.request.architecture, OBJECTIVE)
        self.reference = Reference(meta["unigram_perplexity"], costs)
        self.front_rows = [
            self.row(self._candidates[name], row.perplexity)
            for name, row in self._rows.items()
            if row.verdict == "finished" and row.perplexity is not None
        ]
        self.best = self.reference.hypervolume(self.front_rows)
        self.front_box = FrontBox.of(self.front_rows, self.reference)
        self.best_in_front = self.front_box.hypervolume(self.front_rows)

    @property
    def seconds(self) -> float:
        """Of all trainings that a search can meet."""
        return sum(row.seconds for row in self._rows.values())

    def compose(self, overrides: Sequence[str]) -> Candidate:
        name = tuple(overrides)
        if name not in self._candidates:
            raise RequestError(f"the table has no row with {' '.join(name)}")
        return self._candidates[name]

    def train(self, candidate: Candidate, seed: int) -> Outcome:
        row = self._rows[candidate.overrides]
        return Outcome(row.verdict, row.perplexity, row.perplexity, row.seconds, row.curve)
