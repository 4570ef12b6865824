"""`aero-search evaluate`: what a bundle's network reaches on held-out text and on tasks."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from aero_search.commands.verify import find_corpus
from aero_search.config.command import Command
from aero_search.config.paths import writable
from aero_search.config.request import Request
from aero_search.errors import RequestError
from aero_search.schema import to_mapping


@dataclass(frozen=True)
class EvaluateOptions:
    """conf/evaluate.yaml

    Attributes:
        tasks: one or a list: `held_out`, names of lm-evaluation-harness's tasks, or paths of task files.
        limit: documents a task, at most.
    """

    bundle: str
    tasks: str | tuple[str, ...]
    limit: int | None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.tasks,) if isinstance(self.tasks, str) else self.tasks

    def __post_init__(self) -> None:
        if not self.tasks:
            raise RequestError("tasks=[] names nothing to evaluate: take held_out or a task")
        if self.limit is not None and self.limit < 1:
            raise RequestError(f"limit={self.limit} must be at least 1, or null for all documents")


def run(request: Request) -> None:
    """Score the bundle, print the figures, and log them as a run of their own."""
    from aero_search.architecture import notation
    from aero_search.export.evaluate import HELD_OUT, score_held_out, score_tasks
    from aero_search.export.load import load_bundle
    from aero_search.tracking.opening import open_tracker

    options = request.options(EvaluateOptions)
    output_dir = writable(request.output_dir.resolve())
    bundle = load_bundle(Path(options.bundle).expanduser())
    scores = []
    if HELD_OUT in options.names:
        corpus = find_corpus(request, bundle, str(bundle.provenance["corpus_fingerprint"]))
        if isinstance(corpus, str):
            raise RequestError(f"tasks={HELD_OUT}: {corpus}")
        scores += score_held_out(bundle, corpus)
    if others := [task for task in options.names if task != HELD_OUT]:
        scores += score_tasks(bundle, others, options.limit)
    name = notation(bundle.architecture)
    tracker = open_tracker(request.tracking, output_dir)
    tracker.initialize()
    tracker.record(
        None,
        f"evaluate {name}",
        "evaluation",
        params={"bundle": options.bundle, "tasks": ",".join(options.names)},
        metrics={f"{score.task}/{score.metric}": score.value for score in scores},
    )
    if request.format == "json":
        said = {"bundle": options.bundle, "notation": name, "scores": to_mapping(scores)}
        json.dump(said, sys.stdout, indent=1, allow_nan=False)
        print()
        return
    from aero_search.console import make_console
    from aero_search.report.table import sheet

    rows = [
        (s.task, s.metric, f"{s.value:.4f}", "" if s.error is None else f"± {s.error:.4f}", s.better)
        for s in scores
    ]
    make_console().print(
        sheet(("task", "metric", "value", "error", "better"), rows, f"{name}: {options.bundle}")
    )


COMMAND = Command(
    "evaluate",
    run,
    positional=("bundle",),
    waits_for="loading PyTorch and the bundle",
    settings=("bundle", "tasks", "limit", "data", "data.path", "tracking", "format", "output_dir"),
    examples=(
        "evaluate outputs/exports/aero-knee",
        "evaluate outputs/exports/aero-knee tasks=[held_out,arc_easy] limit=200",
        "evaluate outputs/exports/aero-knee tasks=my_task.yaml",
    ),
)
