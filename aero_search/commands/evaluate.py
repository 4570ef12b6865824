"""`aero-search evaluate`: what a bundle's network, or a study's points, reach on held-out text and on tasks."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from aero_search.app.measure_target import find_target, require_one
from aero_search.app.study_tasks import FRONT, Answered, answer_tasks, asked_key, asked_points, places
from aero_search.architecture import notation
from aero_search.commands.verify import find_corpus
from aero_search.config.command import Command
from aero_search.config.paths import writable
from aero_search.config.request import Request
from aero_search.cost import Protocol
from aero_search.errors import RequestError
from aero_search.export.evaluate import (
    HELD_OUT,
    Score,
    Subject,
    emulated_scores,
    score_held_out,
    score_tasks,
)
from aero_search.export.layout import MANIFEST_FILE
from aero_search.export.load import Bundle, load_bundle
from aero_search.front.objective import Objective
from aero_search.invocation import typed
from aero_search.schema import to_mapping
from aero_search.user_path import user_path

if TYPE_CHECKING:
    from aero_search.data import Corpus
    from aero_search.model import Decoder
    from aero_search.report.table import Sheet

Said = Mapping[str, Any]
"""What is told of a run beside its figures."""


@dataclass(frozen=True)
class EvaluateOptions:
    """conf/evaluate.yaml

    Attributes:
        bundle: the folder; None with study=.
        pick: of a study; None is its front, with emulate=true its knee.
        tasks: one or a list: `held_out`, names of lm-evaluation-harness's tasks, or paths of task files.
        limit: documents a task, or held-out windows that are emulated, at most.
        emulate: held-out text in the fixed point of the protocol's system.
        python: interpreter that emulates.
    """

    bundle: str | None
    pick: str | None
    tasks: str | tuple[str, ...]
    limit: int | None
    emulate: bool
    python: str | None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.tasks,) if isinstance(self.tasks, str) else self.tasks

    def __post_init__(self) -> None:
        if not self.tasks:
            raise RequestError("tasks=[] names nothing to evaluate: take held_out or a task")
        if self.limit is not None and self.limit < 1:
            raise RequestError(f"limit={self.limit} must be at least 1, or null for all documents")
        if self.emulate and self.pick == FRONT:
            raise RequestError("pick=front is for tasks=: emulate=true runs one network, such as pick=knee")
        if self.emulate and self.names != (HELD_OUT,):
            raise RequestError(
                f"emulate=true runs held-out text, not tasks={','.join(self.names)}: leave out tasks="
            )


def run(request: Request) -> None:
    """Score the network, print the figures, and log them as a run of their own."""
    from aero_search.tracking.opening import open_tracker

    options = request.options(EvaluateOptions)
    if options.bundle is None and request.study_name is None:
        raise RequestError(
            f"bundle= names the network to evaluate: give a folder that `{typed('export')}` has written, or "
            "study=NAME tasks=..."
        )
    output_dir = writable(request.output_dir.resolve())
    if request.study_name is not None and not options.emulate:
        _study(request, options, output_dir)
        return
    if options.emulate:
        said, name, scores = _emulated(request, options, output_dir)
    else:
        said, name, scores = _scored(request, options, str(options.bundle))
    tracker = open_tracker(request.tracking, output_dir)
    tracker.initialize()
    tracker.record(
        None,
        f"evaluate {name}",
        "evaluation",
        params={**said, "tasks": ",".join(options.names)},
        metrics=_figures(scores),
    )
    if request.format == "json":
        json.dump(
            {**said, "notation": name, "scores": to_mapping(scores)}, sys.stdout, indent=1, allow_nan=False
        )
        print()
        return
    from aero_search.console import make_console
    from aero_search.report.table import sheet

    rows = [
        (s.task, s.metric, f"{s.value:.4f}", "" if s.error is None else f"± {s.error:.4f}", s.better)
        for s in scores
    ]
    title = f"{name}: {said['bundle']}"
    if lowerings := said.get("lowerings"):
        title += f"\nemulated on {said['windows']} windows with {lowerings}"
    make_console().print(sheet(("task", "metric", "value", "error", "better"), rows, title))


def _figures(scores: Sequence[Score]) -> dict[str, float]:
    """The scores as a run logs them, by task and metric."""
    return {f"{score.task}/{score.metric}".replace(" ", "/"): score.value for score in scores}


def _scored(request: Request, options: EvaluateOptions, named: str) -> tuple[Said, str, list[Score]]:
    """What a bundle reaches in floating point: what is said of it, its notation, its figures."""
    bundle = load_bundle(user_path(named))
    scores: list[Score] = []
    if HELD_OUT in options.names:
        scores += score_held_out(bundle, _corpus(request, bundle))
    if others := [task for task in options.names if task != HELD_OUT]:
        scores += score_tasks(Subject.of(bundle), others, options.limit)
    return {"bundle": named}, notation(bundle.architecture), scores


def _study(request: Request, options: EvaluateOptions, output_dir: Path) -> None:
    """Score the points of a study, print them as fronts with each score as the quality, and log each as a run."""
    from aero_search.app.saved_study import open_saved_study
    from aero_search.console import make_console, progress_bars
    from aero_search.tracking.opening import open_tracker

    require_one(options.bundle, request.study_name)
    past = open_saved_study(request)
    if HELD_OUT in options.names:
        raise RequestError(
            f"study={request.study_name} has been measured on held-out text: name other tasks with tasks=, or one "
            "bundle"
        )
    bar = progress_bars(make_console(stderr=True), "{task.description}", "{task.completed} of {task.total}")
    with bar:
        shown = bar.add_task("trainings on tasks", total=None)

        def on_training(done: int, count: int, label: str) -> None:
            bar.update(shown, completed=done, total=count, description=f"trainings on tasks: {label}")

        answered = answer_tasks(
            request,
            past,
            asked_points(past, options.pick),
            lambda subject: score_tasks(subject, options.names, options.limit),
            asked_key(options.names, options.limit),
            on_training,
        )
    columns = range(len(answered[0].scores))
    by_column = [places(answered, past.objective.costs, i) for i in columns]
    tracker = open_tracker(request.tracking, output_dir)
    tracker.initialize()
    for one in answered:
        tracker.record(
            str(past.attrs.get("run", "")) or None,
            f"evaluate {one.record.label}",
            "evaluation",
            params={
                "trial": one.record.number,
                "notation": one.record.notation,
                "tasks": ",".join(options.names),
            },
            metrics=_figures(one.scores),
        )
    if request.format == "json":
        points = [
            {
                "trial": one.record.number,
                "notation": one.record.notation,
                **dict(one.record.costs),
                "trainings": one.trainings,
                "scores": [{**to_mapping(s), "place": by_column[i][k]} for i, s in enumerate(one.scores)],
            }
            for k, one in enumerate(answered)
        ]
        json.dump({"study": past.name, "points": points}, sys.stdout, indent=1, allow_nan=False)
        print()
        return
    make_console().print(_fronts(past.name, past.objective, answered, by_column))


def _fronts(
    name: str, objective: Objective, answered: Sequence[Answered], places: Sequence[Sequence[str]]
) -> Sheet:
    from aero_search.report.table import sheet
    from aero_search.report.units import quality_name, quality_text, readable

    first, quality = objective.costs[0], objective.quality
    heads = ["point", first, quality_name(quality), "seeds"]
    for score in answered[0].scores:
        heads += [f"{score.task} {score.metric}", "place"]
    rows = []
    for k, one in enumerate(answered):
        row = [
            one.record.label,
            readable(first, one.record.costs[first]),
            quality_text(quality, one.record.metric(quality)),
            str(one.trainings),
        ]
        for i, score in enumerate(one.scores):
            error = "" if score.error is None else f" ± {score.error:.4f}"
            row += [f"{score.value:.4f}{error}", places[i][k]]
        rows.append(row)
    title = (
        f"study {name} on tasks, with standard errors; place: `front` with this score as the quality, `tie` where "
        "no point that costs no more is surely better"
    )
    # Each score stays beside its place.
    parts = [0] * 4 + [1 + i // 2 for i in range(2 * len(answered[0].scores))]
    return sheet(heads, rows, title, parts=parts)


def _corpus(request: Request, bundle: Bundle) -> Corpus:
    corpus = find_corpus(request, bundle, str(bundle.provenance["corpus_fingerprint"]))
    if isinstance(corpus, str):
        raise RequestError(f"tasks={HELD_OUT}: {corpus}")
    return corpus


def _emulated(request: Request, options: EvaluateOptions, output_dir: Path) -> tuple[Said, str, list[Score]]:
    """What a bundle or a candidate reaches in fixed point, beside floating point on the same windows."""
    from aero_search.console import make_console, progress_bars
    from aero_search.data.windows import held_out_windows
    from aero_search.measure.environment import find_environment
    from aero_search.measure.mailbox import runtime_of
    from aero_search.measure.program import stages

    runtime_of(request.protocol)
    python = str(find_environment(options.python).python)
    label, model, corpus, most, protocol = _network(request, options)
    if corpus.vocab_size > model.architecture.vocab_size:
        raise RequestError(
            f"the corpus has {corpus.vocab_size} tokens where the network has {model.architecture.vocab_size}: "
            "name the corpus that it was trained on with data=..."
        )
    windows_ns = held_out_windows(corpus, model.architecture.seq_len, min(most, options.limit or most))
    if not len(windows_ns):
        raise RequestError(f"{corpus.folder} has no held-out window of {model.architecture.seq_len} tokens")
    from aero_search.measure.emulate import emulate

    output_dir.mkdir(parents=True, exist_ok=True)
    bar = progress_bars(make_console(stderr=True), "{task.description}", "{task.completed} of {task.total}")
    # The process's folder holds weights and tokens; it goes whatever happens.
    with TemporaryDirectory(dir=output_dir, prefix="emulate-") as folder, bar:
        task = bar.add_task("held-out windows emulated", total=len(windows_ns))
        found = emulate(
            model,
            protocol,
            windows_ns,
            Path(folder) / "alone",
            answers_only=corpus.answers_only,
            python=python,
            on_window=lambda done: bar.update(task, completed=done),
        )
    kinds = {stage.kind for stage in stages(found.forward)}
    ran = sorted({name for kind, name in (found.forward.lowerings or {}).items() if kind in kinds})
    said = {
        "bundle": label,
        "protocol": protocol.name,
        "windows": len(windows_ns),
        "lowerings": ", ".join(ran) or "no nonlinearity",
    }
    return said, notation(model.architecture), emulated_scores(protocol.name, found)


def _network(request: Request, options: EvaluateOptions) -> tuple[str, Decoder, Corpus, int, Protocol]:
    """Its name, itself in evaluation mode, its corpus, how many windows its recipe holds out, how it is run."""
    from aero_search.data import prepare

    if options.bundle is not None and (user_path(options.bundle) / MANIFEST_FILE).is_file():
        bundle = load_bundle(user_path(options.bundle))
        most = int(bundle.config["recipe"]["validation_sequences"])
        return options.bundle, bundle.module(), _corpus(request, bundle), most, request.protocol
    target = find_target(request, options.bundle, options.pick)
    if target.corpus is None:
        raise RequestError(f"{target.label} has no text of its own: name it with data=...")
    corpus = prepare(target.corpus, target.architecture.vocab_size)
    return (
        options.bundle or target.label,
        target.model(request.recipe.seed),
        corpus,
        target.validation_sequences,
        target.protocol(request),
    )


COMMAND = Command(
    "evaluate",
    run,
    positional=("bundle",),
    waits_for="loading PyTorch and the bundle",
    settings=(
        "bundle",
        "study.name",
        "pick",
        "tasks",
        "limit",
        "emulate",
        "protocol",
        "python",
        "data",
        "data.path",
        "tracking",
        "format",
        "output_dir",
    ),
    examples=(
        "evaluate outputs/exports/aero-knee",
        "evaluate outputs/exports/aero-knee tasks=[held_out,arc_easy] limit=200",
        "evaluate outputs/exports/aero-knee tasks=my_task.yaml",
        "evaluate study=aero tasks=my_task.yaml",
        "evaluate outputs/exports/aero-knee emulate=true protocol=spu_aby3 limit=64",
    ),
)
