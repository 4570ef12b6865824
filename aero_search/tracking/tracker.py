"""What a search tells about itself: a parent run a study, a child run a candidate.

No call here raises or blocks for long, whatever becomes of the store: a search comes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from aero_search.training.result import CurvePoint, Result

StudyStatus = Literal["FINISHED", "FAILED", "KILLED"]


class CandidateRun:
    """One candidate while it trains; a `training.progress.Listener`. Exactly one of the ends is called.

    This one logs nothing.
    """

    @property
    def run_id(self) -> str:
        """Names the run to `Tracker.abandon` in another process; empty without tracking."""
        return ""

    def step(self, step: int, loss: float) -> None:
        """After each optimizer step, counted from 1; loss in nats a token."""

    def validated(self, point: CurvePoint, entropy: list[list[float]]) -> None:
        """After each validation; entropy in nats, n_layer x n_head."""

    def finish(self, result: Result, artifacts: Sequence[Path] = ()) -> None:
        """The candidate is trained, or diverged; files that do not exist are left out."""

    def fail(self, reason: str) -> None:
        """The candidate's training broke; `reason` in one sentence."""

    def abandon(self) -> None:
        """The candidate was given up before its end, for instance at Ctrl-C."""


class Tracker:
    """Where a study and its candidates are logged. Run ids are strings that any process may use.

    This one logs nothing and needs nothing.
    """

    def initialize(self) -> None:
        """Create store and experiment, once, before other processes open them (2 to 8 s on a fresh store)."""

    def start_study(
        self,
        name: str,
        description_markdown: str,
        params: Mapping[str, object],
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Begin a parent run. Returns its id."""
        return ""

    def present(
        self,
        study: str,
        metrics: Sequence[str],
        params: Sequence[str],
        always: Sequence[str],
        maximized: bool = False,
    ) -> None:
        """Let the store's own pages show a study's candidates by these metrics and parameters, best first.

        Args:
            metrics: the objective's, quality first.
            always: the parameters that every candidate has a value of.
            maximized: whether the quality is better higher.
        """

    def judge(self, run_id: str, verdict: str, colour: str) -> None:
        """Say how a trained candidate stands in its study: `front`, `dominated`, `stopped` or `diverged`.

        Args:
            colour: of its run in charts, as #RRGGBB.
        """

    def resume_study(self, parent_run_id: str) -> bool:
        """Take a parent run up again. Returns False where the store is known not to have it."""
        return True

    def update_study(
        self,
        parent_run_id: str,
        *,
        metrics: Mapping[str, float],
        step: int,
        front_document: Mapping[str, Any],
        front_rows: Sequence[Mapping[str, Any]],
        pictures: Sequence[Path] = (),
        description: str | None = None,
    ) -> None:
        """Replace what the parent run shows.

        Args:
            metrics: such as hypervolume, at `step` candidates.
            front_document: becomes `front.json`.
            front_rows: becomes `front_table.json`, which MLflow's page shows as a table; one mapping a row,
                all with the same keys.
            pictures: files that replace those of the same name.
            description: Markdown; None leaves it.
        """

    def finish_study(self, parent_run_id: str, status: StudyStatus = "FINISHED") -> None:
        """End a parent run."""

    def start_candidate(
        self,
        parent_run_id: str | None,
        name: str,
        params: Mapping[str, object],
        costs: Mapping[str, float],
        tags: Mapping[str, str] | None = None,
    ) -> CandidateRun:
        """Begin a candidate's run, a child of `parent_run_id` where that is given.

        Args:
            name: in the paper's notation.
            costs: every known metric, logged as such: seconds, bytes, FLOPs, rounds.
        """
        return CandidateRun()

    def record(
        self,
        parent_run_id: str | None,
        name: str,
        kind: str,
        *,
        params: Mapping[str, object],
        metrics: Mapping[str, float],
        artifacts: Sequence[Path] = (),
    ) -> None:
        """Log something that is over, a measurement for instance, as a run of its own or a parent's child.

        Args:
            kind: what MLflow's search box finds it by, tags."aero.kind".
            artifacts: files; those that do not exist are left out.
        """

    def abandon(self, run_id: str) -> None:
        """Mark a candidate's run as killed: its process died and cannot."""
