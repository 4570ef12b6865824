"""From a request to a study: what is shared by `search`, `train --multirun` and the commands that look at one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from aero_search.app.corpora import Corpora, prepare_corpus
from aero_search.architecture import BASELINE, parse_notation
from aero_search.config.architecture import GROUPS
from aero_search.config.checkpoint import with_checkpoint
from aero_search.config.paths import output_option, writable
from aero_search.config.request import Request
from aero_search.console import Console, make_console
from aero_search.errors import RequestError
from aero_search.front.document import front_document
from aero_search.front.front import Front
from aero_search.front.pareto import Reference
from aero_search.front.pricing import Pricing, lowerings_of
from aero_search.front.quality import MAXIMIZED, PERPLEXITY, QualityScale
from aero_search.front.record import Record
from aero_search.init.recovery import SURGERY
from aero_search.invocation import typed
from aero_search.markdown import code, plain
from aero_search.report.front import front_rows, print_front
from aero_search.report.live import LiveView, Snapshot
from aero_search.report.plot import plot_front
from aero_search.report.study import COLOURS, study_markdown, verdicts
from aero_search.report.units import duration
from aero_search.schema import to_mapping
from aero_search.search.files import write_yaml
from aero_search.search.settings import study_settings
from aero_search.search.spec import SearchSpec
from aero_search.search.study import Study
from aero_search.search.study_runner import StudyRunner
from aero_search.search.worker import Plan
from aero_search.space import Assignment, Categorical, Space
from aero_search.tracking.tracker import Tracker
from aero_search.training.health import Unigram
from aero_search.training.progress import read_progress

# What a target has of its own, and what therefore must not vary beside one.
TARGET_SIZES = ("model", *(f"model.{name}" for name in (
    "family", "n_layer", "n_head", "n_kv_head", "d_model", "seq_len", "vocab_size", "tied_embeddings"
)))  # fmt: skip
PROTOCOL_FILE = "protocol.yaml"
# Groups whose fields every candidate of a study shares, but for what the space varies.
_BASE_GROUPS = (*GROUPS, "recipe")


def baseline_reference(request: Request, unigrams: Sequence[Unigram], pricing: Pricing) -> Reference:
    """The reference of a request's study: what token frequencies alone reach, and the baseline's costs.

    Of several corpora the worst, so that the box holds every candidate.

    Args:
        pricing: of the study's candidates.

    Raises:
        RequestError: a corpus cannot tell the objective's quality.
    """
    objective = request.objective
    costs = pricing.baseline(request.architecture, objective)
    perplexity = max(unigram.perplexity for unigram in unigrams)
    baseline = parse_notation(BASELINE, request.architecture)
    quality = objective.quality
    if quality == PERPLEXITY:
        return Reference(perplexity, costs, baseline)
    values = [getattr(unigram, quality) for unigram in unigrams]
    if None in values:
        raise RequestError(
            f"objective.metrics names {quality}, which needs the bytes of the held-out text, and this corpus does "
            "not say them: choose perplexity or accuracy"
        )
    worst = min(values) if quality in MAXIMIZED else max(values)
    return Reference(perplexity, costs, baseline, QualityScale(quality, perplexity, worst))


def space_pricing(request: Request, space: Space) -> Pricing:
    """What a search in a space prices its candidates under.

    Raises:
        RequestError: the space lists a lowering that the protocol does not have.
    """
    lowerings = lowerings_of(space.lowerings, request.objective)
    lowerings.check(request.protocol)
    return replace(request.pricing, lowerings=lowerings)


def make_runner(
    request: Request,
    space: Space,
    start: Sequence[Assignment],
    name: str,
    only_queued: bool,
    command: str,
    follow_up: Callable[[Sequence[Record]], Sequence[Assignment]] | None = None,
    prepare_corpora: Callable[[], Corpora] | None = None,
) -> StudyRunner:
    """Prepare the corpus and put together everything a study needs.

    Args:
        prepare_corpora: where candidates have different ones; None prepares the request's.

    Raises:
        RequestError: some part of the request is wrong.
    """
    # Every part is validated before the corpus takes its time.
    architecture, compute = request.architecture, request.compute
    compute.check(request.recipe)
    objective, protocol, network = request.bounded_objective, request.protocol, request.network
    search, tracking, target = request.search, request.tracking, request.target
    if only_queued:
        _check_all_train(search)
    if target is not None:
        check_sizes_stay(space, f"objective.target={target.name}")
    pricing = space_pricing(request, space)
    output_dir = writable(request.output_dir.resolve())
    corpora = prepare_corpora() if prepare_corpora is not None else prepare_corpus(request)
    plan = Plan(
        name=name,
        output_dir=output_dir,
        objective=objective,
        protocol=protocol,
        workload=request.workload,
        prices=request.prices,
        network=network,
        space=space,
        search=search,
        tracking=tracking,
        corpus_folder=next(iter(corpora.values())).folder,
        only_queued=only_queued,
        compute=compute,
        target=target,
    )
    base: dict[str, Any] = {group: request.composed.get(group, {}) for group in _BASE_GROUPS}
    if (recovery := request.recovery) is not None:
        base |= with_checkpoint(base, recovery.checkpoint.architecture, request.override_names())
        base |= {"init": {"from": recovery.checkpoint.fingerprint, "surgery": SURGERY}}
        base |= {"distill": to_mapping(recovery.distill), "train": recovery.train.identifying()}
    if request.composed.get("architecture") is not None:
        _check_groups_stay(space)
        base["architecture"] = to_mapping(architecture)
    return StudyRunner(
        plan=plan,
        settings=study_settings(plan, base, ", ".join(sorted({c.fingerprint for c in corpora.values()}))),
        start=start,
        reference=baseline_reference(request, list(map(Unigram.of, corpora.values())), pricing),
        command=command,
        follow_up=follow_up,
        corpora=corpora,
    )


def _check_groups_stay(space: Space) -> None:
    """A group that varies would change nothing beside a whole description."""
    for parameter in space.parameters:
        if parameter.name.partition(".")[0] in (*GROUPS, "variant"):
            raise RequestError(
                f"architecture= describes the whole network, but {parameter.name} is to vary: leave one out"
            )


def _check_all_train(search: SearchSpec) -> None:
    """A sweep and a ladder compare all that they were given, over their whole length."""
    for name, wrong in (
        ("search/rungs", search.rungs.name),
        ("search/stages", search.stages.name),
        ("search.confirm", search.confirm),
    ):
        if wrong not in ("none", 0):
            raise RequestError(
                f"{name}={wrong} belongs to the command search: here every candidate is trained to its end, and "
                "seeds are swept with recipe.seed=0,1"
            )


def check_sizes_stay(space: Space, setter: str, instead: str = "price with objective.target=null") -> None:
    """Refuse a size that varies where something else sets it, whatever was chosen.

    Args:
        setter: what sets the sizes, such as `objective.target=gpt2_small`.
        instead: what else to do.
    """
    for parameter in space.parameters:
        fixed = isinstance(parameter, Categorical) and len(parameter.choices) == 1
        if parameter.name in TARGET_SIZES and not fixed:
            raise RequestError(
                f"{setter} sets {parameter.name}, which space={space.name} varies: fix it with "
                f"{parameter.name}=VALUE, or {instead}"
            )


class Watching:
    """Takes snapshots for the live view, and refreshes front, pictures and tracking as candidates finish."""

    def __init__(
        self, runner: StudyRunner, study: Study, tracker: Tracker, parent_run: str, console: Console
    ) -> None:
        self._runner, self._study = runner, study
        self._tracker, self._parent_run = tracker, parent_run
        self._started = time.time()
        self._published = (-1, 0, 0)
        self._judged: dict[int, tuple[str, str]] = {}
        self._view = LiveView(self, console)

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
        plan = self._runner.plan
        records, repetitions = self._study.records(), self._study.repetitions()
        front = self._runner.front(records)
        done = [record for record in records if record.state != "running"]
        training = [record for record in (*records, *repetitions) if record.state == "running"]
        running = [read_progress(record.folder) for record in training]
        replicated = sum(record.state != "running" for record in repetitions)
        over = (len(done), len(front.stopped), replicated)
        if over != self._published:
            publish(self._runner, front, len(done), self._tracker, self._parent_run)
            self._judge(verdicts(front, records), repetitions)
            self._published = over
        return Snapshot(
            study=plan.name,
            budget=self._study.planned(plan.search, plan.only_queued),
            done=len(done),
            stopped=sum(record.state in ("plateau", "stopped") for record in done),
            diverged=len(front.diverged),
            duplicates=self._study.duplicates(),
            running=tuple(progress for progress in running if progress is not None),
            front=front,
            started=self._started,
            seconds=tuple(record.seconds for record in done if record.seconds is not None),
            workers=plan.search.workers,
            invalid=self._study.invalid().total(),
            over=self._study.over().total(),
            replicates=(replicated, self._study.asked_repetitions()),
        )

    def _judge(self, found: Mapping[int, str], repetitions: Sequence[Record]) -> None:
        """Tell the runs whose place has changed; a candidate leaves the front when a better one is found.

        A further seed keeps the verdict of its own training, and has its candidate's colour.
        """
        runs, repeated = self._study.runs(), self._study.repeated()
        told = {number: (verdict, COLOURS[verdict]) for number, verdict in found.items()}
        for seed in repetitions:
            if seed.state != "running" and repeated[seed.number] in told:
                told[seed.number] = (seed.state, told[repeated[seed.number]][1])
        for number, judged in told.items():
            if self._judged.get(number) != judged and number in runs:
                self._tracker.judge(runs[number], *judged)
                self._judged[number] = judged


def watch_study(
    runner: StudyRunner, console: Console | None = None
) -> Callable[[Study, Tracker, str], Watching]:
    """What shows a study while it runs, on stdout unless another console is given."""

    def watch(study: Study, tracker: Tracker, parent_run: str) -> Watching:
        return Watching(runner, study, tracker, parent_run, console or make_console())

    return watch


def publish(runner: StudyRunner, front: Front, done: int, tracker: Tracker, parent_run: str) -> None:
    """Write the front's files into the study's folder and to the parent run."""
    plan = runner.plan
    pictures = plot_front(front, plan.folder)
    protocol = write_yaml(plan.folder / PROTOCOL_FILE, to_mapping(plan.protocol), plan.protocol.title)
    tracker.update_study(
        parent_run,
        metrics=_front_metrics(front, done),
        step=done,
        front_document=front_document(front),
        front_rows=front_rows(front),
        pictures=[*pictures.values(), protocol],
        description=_description(runner, front, done),
    )


def finish_study(runner: StudyRunner, study: Study, front: Front) -> None:
    """Print the front, what could not be trained, and the next command to type.

    Raises:
        RequestError: nothing could be built at all.
    """
    console = make_console()
    plan = runner.plan
    invalid, over = study.invalid(), study.over()
    if invalid and not study.used() and not over:
        raise RequestError(f"no candidate could be built: {next(iter(invalid))}")
    if over and not study.used():
        raise RequestError(
            f"all of {over.total()} proposals lie above a limit ({over.most_common(1)[0][0]}): raise it, or see "
            f"what fits with {typed('plan')}"
        )
    print_front(front, console)
    if len({corpus.fingerprint for corpus in runner.corpora.values()}) > 1:
        console.print("candidates were trained on different corpora: their perplexities do not compare")
    for reason, count in invalid.most_common(3):
        console.print(f"could not be built ({count}): {reason}", soft_wrap=True)
    for reason, count in over.most_common(3):
        console.print(f"not trained ({count}): {reason}", soft_wrap=True)
    for label, reason in study.given_up():
        console.print(f"quarantined: {label}: {reason}", soft_wrap=True)
    for record in front.diverged:
        console.print(f"diverged: {record.label}: {record.reason}", soft_wrap=True)
    missing = 0 if plan.only_queued else plan.search.n_trials - study.used()
    if missing > 0:
        why = ": all others lie above a limit" if over else ""
        console.print(f"space exhausted after {study.used()} of {plan.search.n_trials} candidates{why}")
    used = runner.utilization(study)
    if used is not None and used.pause is not None:
        console.print(
            f"{used.workers} workers trained {100 * used.share:.0f} % of {duration(used.span)}, with "
            f"{used.pause:.1f} s between two trainings",
            soft_wrap=True,
        )
    if not front.points:
        console.print("no candidate has finished with a perplexity")
        return
    where = output_option(plan.output_dir)
    console.print(f"pictures: {plan.folder / 'front.png'}, front.svg", soft_wrap=True)
    console.print(f"export one:  {typed(f'export study={plan.name} pick=knee{where}')}", soft_wrap=True)
    console.print(f"look closer: {typed(f'report study={plan.name}{where}')}", soft_wrap=True)
    console.print(f"             {typed(f'ui{where}')}", soft_wrap=True)


def _front_metrics(front: Front, done: int) -> dict[str, float]:
    metrics: dict[str, Any] = {
        "hypervolume": front.hypervolume,
        "front_points": len(front.points),
        "trained": done,
        "diverged": len(front.diverged),
        "stopped": len(front.stopped),
    }
    if front.points:
        metrics[f"best_{front.objective.quality}"] = front.value(front.best())
    return metrics


def _description(runner: StudyRunner, front: Front, done: int) -> str:
    plan = runner.plan
    where = output_option(plan.output_dir)
    return study_markdown(
        plan.space,
        front,
        [
            *([plain(f"{front.sizes[0].upper()}{front.sizes[1:]}.")] if front.sizes else []),
            f"{done} candidates trained; prices of protocol {code(plan.protocol.name)} on network "
            f"{code(plan.network.name)}.",
        ],
        {
            "repeat or resume": runner.command,
            "export the best balance": f"aero-search export study={plan.name} pick=knee{where}",
            "other prices, without training": f"aero-search front study={plan.name} network=wan{where}",
        },
    )
