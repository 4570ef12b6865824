"""From a request to a study: what is shared by `search`, `train --multirun` and the commands that look at one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console

from aero_search.architecture import parse_notation
from aero_search.config.request import Request
from aero_search.data.prepare import prepare
from aero_search.report.live import LiveView
from aero_search.search.conductor import Conductor, Watcher
from aero_search.search.front import BASELINE
from aero_search.search.objective import known_costs
from aero_search.search.pareto import Reference
from aero_search.search.settings import study_settings
from aero_search.search.study import Study
from aero_search.search.worker import Plan
from aero_search.space import Assignment, Space
from aero_search.tracking import Tracker
from aero_search.training.health import corpus_unigram_loss, perplexity

# Groups whose fields every candidate of a study shares, but for what the space varies.
_BASE_GROUPS = ("model", "recipe")


def baseline_reference(request: Request, unigram_perplexity: float) -> Reference:
    """The reference of a request's study: the unigram perplexity and the baseline's costs."""
    baseline = parse_notation(BASELINE, request.architecture)
    costs = known_costs(baseline, request.protocol, request.network)
    return Reference(unigram_perplexity, {metric: costs[metric] for metric in request.objective.costs})


def make_conductor(
    request: Request,
    space: Space,
    start: Sequence[Assignment],
    name: str,
    only_queued: bool,
    command: str,
) -> Conductor:
    """Prepare the corpus and put together everything a study needs.

    Raises:
        RequestError: some part of the request is wrong.
    """
    # Every part is validated before the corpus takes its time.
    architecture, _ = request.architecture, request.recipe
    objective, protocol, network = request.objective, request.protocol, request.network
    search, tracking = request.search, request.tracking
    corpus = prepare(request.data, architecture.vocab_size)
    plan = Plan(
        name=name,
        output_dir=request.output_dir.resolve(),
        objective=objective,
        protocol=protocol,
        network=network,
        space=space,
        search=search,
        tracking=tracking,
        corpus_folder=corpus.folder,
        only_queued=only_queued,
    )
    base = {group: request.composed[group] for group in _BASE_GROUPS}
    return Conductor(
        plan=plan,
        settings=study_settings(plan, base, corpus.fingerprint),
        start=start,
        reference=baseline_reference(request, perplexity(corpus_unigram_loss(corpus))),
        command=command,
    )


def watch_study(conductor: Conductor) -> Callable[[Study, Tracker, str | None], Watcher]:
    """What shows a study while it runs: the live view, and MLflow's front kept fresh."""

    def watch(study: Study, tracker: Tracker, parent_run: str | None) -> Watcher:
        return LiveView(_Snapshots(conductor, study, tracker, parent_run), Console())

    return watch
