"""A ladder under the study engine: its rows composed by Hydra, its second seeds queued when the first are in."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from aero_search.app.study import make_runner
from aero_search.architecture import Architecture
from aero_search.config.request import Request
from aero_search.console import make_console
from aero_search.errors import RequestError
from aero_search.front.document import front_document
from aero_search.front.record import Record
from aero_search.markdown import code
from aero_search.report.ablation import LadderTable, ladder_markdown, print_ladder
from aero_search.report.ablation_files import first_health, first_results, write_ladder
from aero_search.report.front import front_rows
from aero_search.search.candidate import Candidate
from aero_search.search.ladder import ROW, Ladder, first_points, ladder_space, lines, next_points
from aero_search.search.study import Study
from aero_search.search.study_runner import StudyRunner
from aero_search.space import Assignment
from aero_search.tracking.opening import open_tracker

_ROW = f"{ROW}="


@dataclass(frozen=True)
class AblateOptions:
    """conf/ablate.yaml"""

    ladder: Ladder


@dataclass(frozen=True)
class LadderCompose:
    """From a point of a ladder's study to a candidate: the row's name stands for its overrides.

    Attributes:
        compose: from Hydra overrides to a candidate.
        rows: overrides by the names of the ladder's cells.
    """

    compose: Callable[[Sequence[str]], Candidate]
    rows: dict[str, tuple[str, ...]]

    def __call__(self, overrides: Sequence[str]) -> Candidate:
        written: list[str] = []
        for override in overrides:
            written += self.rows[override.removeprefix(_ROW)] if override.startswith(_ROW) else [override]
        return self.compose(written)


class LadderSweep:
    """One `aero-search ablate`.

    Raises:
        RequestError: the user sweeps something: rows are what a ladder varies.
    """

    def __init__(self, request: Request, swept: Sequence[str]) -> None:
        if swept:
            raise RequestError(f"ablate takes no sweep such as {swept[0]}: write rows into a ladder file")
        self.request = request
        self.ladder = request.options(AblateOptions).ladder
        self.architectures: dict[str, Architecture] = {}

    @cached_property
    def overrides(self) -> dict[str, tuple[str, ...]]:
        """The Hydra overrides of every cell."""
        return {name: cell.overrides for name, cell in self.ladder.cells().items()}

    def runner(self, compose: Callable[[Sequence[str]], Candidate], command: str) -> StudyRunner:
        """Compose every row, so that a wrong one is told before anything is trained, and make the study.

        Raises:
            RequestError: a row cannot be built; says which.
        """
        for name, overrides in self.overrides.items():
            try:
                self.architectures[name] = compose(overrides).architecture
            except RequestError as problem:
                raise RequestError(f"ladder row {name}: {problem}") from problem
        return make_runner(
            self.request,
            ladder_space(self.ladder),
            start=first_points(self.ladder),
            name=self.request.study_name or f"ladder-{self.ladder.name}",
            only_queued=True,
            command=command,
            follow_up=self._follow_up,
        )

    def check_corpora(self, compose: Callable[[Sequence[str]], Candidate]) -> None:
        """Refuse a row that needs another corpus than the ladder's.

        Raises:
            RequestError: says which.
        """
        for name, overrides in self.overrides.items():
            try:
                compose(overrides)
            except RequestError as problem:
                raise RequestError(f"ladder row {name}: {problem}") from problem

    def finish(self, runner: StudyRunner, study: Study) -> None:
        """Print the table, and write its files into the study's folder and to the parent run."""
        plan = runner.plan
        table = lines(self.ladder, self.architectures, study.records())
        results = first_results(table)
        told = LadderTable(
            self.ladder,
            table,
            [plan.price(line.architecture).costs for line in table],
            first_health(table, results),
            runner.command,
        )
        files = write_ladder(told, results, plan.folder)
        self._track(runner, study, told, files)
        if self.request.format == "json":
            print(json.dumps(told.document(), indent=1, allow_nan=False))
            return
        console = make_console()
        print_ladder(told, console)
        console.print(
            f"written: {plan.folder}/ladder.csv, .md, .tex, .json, entropy_*.png, curves.png", soft_wrap=True
        )

    def _track(self, runner: StudyRunner, study: Study, table: LadderTable, files: Sequence[Path]) -> None:
        run = study.study.user_attrs.get("run")
        if not run:
            return
        tracker = open_tracker(runner.plan.tracking, runner.plan.output_dir)
        front = runner.front(study.records())
        tracker.update_study(
            run,
            metrics={},
            step=len(study.records()),
            front_document=front_document(front),
            front_rows=front_rows(front),
            pictures=files,
            description=f"{ladder_markdown(table)}\nRepeat or resume: {code(runner.command)}",
        )

    def _follow_up(self, records: Sequence[Record]) -> Sequence[Assignment]:
        return next_points(self.ladder, lines(self.ladder, self.architectures, records))
