"""From a request to a study: what is shared by `search`, `train --multirun` and the commands that look at one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console

from aero_search.config.architecture import GROUPS
from aero_search.config.paths import output_option, writable
from aero_search.config.request import Request
from aero_search.data import prepare
from aero_search.errors import RequestError
from aero_search.report.front import front_markdown, front_rows, print_front
from aero_search.report.live import LiveView, Snapshot
from aero_search.report.plot import plot_front
from aero_search.search.conductor import Conductor
from aero_search.search.front import Front
from aero_search.search.objective import baseline_costs
from aero_search.search.pareto import Reference
from aero_search.search.record import Record
from aero_search.search.settings import study_settings
from aero_search.search.study import Study
from aero_search.search.worker import Plan
from aero_search.space import Assignment, Space
from aero_search.tracking.tracker import Tracker
from aero_search.training.health import corpus_unigram_loss, perplexity
from aero_search.training.progress import read_progress

# Groups whose fields every candidate of a study shares, but for what the space varies.
_BASE_GROUPS = (*GROUPS, "recipe")


def baseline_reference(request: Request, unigram_perplexity: float) -> Reference:
    """The reference of a request's study: the unigram perplexity and the baseline's costs."""
    costs = baseline_costs(request.architecture, request.objective, request.protocol, request.network)
    return Reference(unigram_perplexity, costs)


def make_conductor(
    request: Request,
    space: Space,
    start: Sequence[Assignment],
    name: str,
    only_queued: bool,
    command: str,
    follow_up: Callable[[Sequence[Record]], Sequence[Assignment]] | None = None,
) -> Conductor:
    """Prepare the corpus and put together everything a study needs.

    Raises:
        RequestError: some part of the request is wrong.
    """
    # Every part is validated before the corpus takes its time.
    architecture, compute = request.architecture, request.compute
    compute.check(request.recipe)
    objective, protocol, network = request.objective, request.protocol, request.network
    search, tracking = request.search, request.tracking
    output_dir = writable(request.output_dir.resolve())
    corpus = prepare(request.data, architecture.vocab_size)
    plan = Plan(
        name=name,
        output_dir=output_dir,
        objective=objective,
        protocol=protocol,
        network=network,
        space=space,
        search=search,
        tracking=tracking,
        corpus_folder=corpus.folder,
        only_queued=only_queued,
        compute=compute,
    )
    base = {group: request.composed[group] for group in _BASE_GROUPS}
    return Conductor(
        plan=plan,
        settings=study_settings(plan, base, corpus.fingerprint),
        start=start,
        reference=baseline_reference(request, perplexity(corpus_unigram_loss(corpus))),
        command=command,
        follow_up=follow_up,
    )


class Watching:
    """Takes snapshots for the live view, and refreshes front, pictures and tracking as candidates finish."""

    def __init__(self, conductor: Conductor, study: Study, tracker: Tracker, parent_run: str) -> None:
        self._conductor, self._study = conductor, study
        self._tracker, self._parent_run = tracker, parent_run
        self._started = time.time()
        self._published = -1
        self._view = LiveView(self, Console())

    def __enter__(self) -> Watching:
        self._view.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._view.__exit__(kind, error, trace)
        # What finished since the last look is published too, also where the view is erased.
        self()

    def __call__(self) -> Snapshot:
        plan = self._conductor.plan
        records = self._study.records()
        front = self._conductor.front(records)
        done = [record for record in records if record.state != "running"]
        running = [read_progress(record.folder) for record in records if record.state == "running"]
        budget = len(records) + self._study.left(plan.search, plan.only_queued)
        if len(done) != self._published:
            publish(self._conductor, front, len(done), self._tracker, self._parent_run)
            self._published = len(done)
        return Snapshot(
            study=plan.name,
            budget=budget,
            done=len(done),
            stopped=sum(record.state == "plateau" for record in done),
            diverged=len(front.diverged),
            duplicates=self._study.duplicates(),
            running=tuple(progress for progress in running if progress is not None),
            front=front,
            started=self._started,
            seconds=tuple(record.seconds for record in done if record.seconds is not None),
            workers=plan.search.workers,
        )


def watch_study(conductor: Conductor) -> Callable[[Study, Tracker, str], Watching]:
    """What shows a study while it runs."""

    def watch(study: Study, tracker: Tracker, parent_run: str) -> Watching:
        return Watching(conductor, study, tracker, parent_run)

    return watch


def publish(conductor: Conductor, front: Front, done: int, tracker: Tracker, parent_run: str) -> None:
    """Write the front's files into the study's folder and to the parent run."""
    plan = conductor.plan
    pictures = plot_front(front, plan.folder)
    tracker.update_study(
        parent_run,
        metrics=_front_metrics(front, done),
        step=done,
        front_document=front.document(),
        front_rows=front_rows(front),
        pictures=list(pictures.values()),
        description=_description(conductor, front, done),
    )


def finish_study(conductor: Conductor, study: Study, front: Front) -> None:
    """Print the front, what could not be trained, and the next command to type.

    Raises:
        RequestError: nothing could be built at all.
    """
    console = Console()
    plan = conductor.plan
    invalid = study.invalid()
    if invalid and not study.used():
        raise RequestError(f"no candidate could be built: {next(iter(invalid))}")
    print_front(front, console)
    for reason, count in invalid.most_common(3):
        console.print(f"could not be built ({count}): {reason}", soft_wrap=True)
    for record in front.diverged:
        console.print(f"diverged: {record.label}: {record.reason}", soft_wrap=True)
    missing = 0 if plan.only_queued else plan.search.n_trials - study.used()
    if missing > 0:
        console.print(
            f"the space is used up: {missing} of {plan.search.n_trials} candidates do not exist in it"
        )
    if not front.points:
        console.print("no candidate has finished with a perplexity")
        return
    where = output_option(plan.output_dir)
    console.print(f"pictures: {plan.folder / 'front.png'}, front.svg, front.html", soft_wrap=True)
    console.print(f"take one home: aero-search export study={plan.name} pick=knee{where}", soft_wrap=True)
    console.print(f"look closer:   aero-search ui{where}", soft_wrap=True)


def _front_metrics(front: Front, done: int) -> dict[str, float]:
    metrics: dict[str, Any] = {
        "hypervolume": front.hypervolume,
        "front_points": len(front.points),
        "trained": done,
        "diverged": len(front.diverged),
    }
    if front.points:
        metrics["best_perplexity"] = front.best().perplexity
    return metrics


def _description(conductor: Conductor, front: Front, done: int) -> str:
    plan = conductor.plan
    return "\n\n".join(
        (
            f"**{plan.name}**: {plan.space.description}",
            f"{done} candidates trained; protocol `{plan.protocol.name}`, network `{plan.network.name}`.",
            front_markdown(front),
            f"Repeat or resume: `{conductor.command}`",
            f"Export: `aero-search export study={plan.name} pick=knee{output_option(plan.output_dir)}`",
        )
    )
