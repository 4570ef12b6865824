"""`aero-search plan`: what a search would find, cost and take, without training anything."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.progress import BarColumn, MofNCompleteColumn

from aero_search.app.stages import Compose, asked_stages, stage_recipe
from aero_search.app.study import check_sizes_stay, space_pricing
from aero_search.architecture import BASELINE, Architecture, parse_notation
from aero_search.config.architecture import GROUPS
from aero_search.config.request import Request
from aero_search.console import make_console, progress_bars
from aero_search.cost import flops
from aero_search.errors import RequestError
from aero_search.quantity import write_quantity
from aero_search.report.plan import Plan, StageHours, plan_report
from aero_search.search.forecast import find_pace
from aero_search.search.space_summary import Summarizer, summarize_space
from aero_search.search.stages.stage import Stage
from aero_search.space import Parameter, Real, Space, Tree, Value

# A variant sets several groups of an architecture at once.
_ARCHITECTURE = (*GROUPS, "variant")
# Before a search with limits: random networks of which one will do, and the most that are listed where none does.
_SOME, _LISTED = 64, 5000


@dataclass(frozen=True)
class PlanOptions:
    """conf/plan.yaml

    Attributes:
        limit: assignments up to which a space is listed whole.
        samples: assignments that are looked at where it is not.
        seed: of the sample.
    """

    limit: int
    samples: int
    seed: int

    def __post_init__(self) -> None:
        for name, least in (("limit", 1), ("samples", 30), ("seed", 0)):
            if getattr(self, name) < least:
                raise RequestError(f"{name}={getattr(self, name)} must be at least {least}")


def plan_search(
    request: Request,
    space: Space,
    build: Callable[[Sequence[str]], Architecture],
    compose: Compose,
) -> None:
    """Summarize the space, forecast the training time, and print both.

    Args:
        build: from overrides of the space to an architecture.
        compose: from overrides to a request.

    Raises:
        RequestError: some part of the request is wrong.
    """
    options = request.options(PlanOptions)
    if request.target is not None:
        check_sizes_stay(space, f"objective.target={request.target.name}")
    stages = asked_stages(request, space, compose)
    pricing = space_pricing(request, space)
    relevant = architecture_parameters(space)
    tree = Tree(relevant)
    counted = Space(space.name, space.description, relevant)
    found = summarize_space(
        tree,
        lambda assignment: build(counted.overrides(assignment)),
        pricing,
        request.bounded_objective,
        options.limit,
        options.samples,
        options.seed,
        _progress,
    )
    plan = Plan(
        space=space,
        summary=found,
        objective=request.bounded_objective,
        pricing=pricing,
        continuous=tuple(p.name for p in space.parameters if isinstance(p, Real) and p.continuous),
        others=tuple(p.name for p in space.parameters if p not in relevant),
        pace=find_pace(request.output_dir, request.architecture),
        recipe=request.recipe,
        search=request.search,
        stages=_stage_hours(request, stages, compose),
    )
    if request.format == "json":
        json.dump(plan.document(), sys.stdout, indent=1, allow_nan=False)
        print()
    else:
        make_console().print(plan_report(plan))


def _stage_hours(request: Request, stages: Sequence[Stage], compose: Compose) -> tuple[StageHours, ...]:
    """The stages with what their trainings take against the proxy's."""
    baseline = parse_notation(BASELINE, request.architecture)
    return tuple(
        StageHours(
            stage,
            stage_recipe(stage, compose),
            flops(stage.architecture(baseline)).total / flops(baseline).total,
        )
        for stage in stages
    )


def check_limits(request: Request, space: Space, build: Callable[[Sequence[str]], Architecture]) -> None:
    """Refuse limits that no network of the space keeps, where the space is small enough to be listed.

    A search would only propose one after the other. Where one of a few random networks keeps them, no more are
    looked at.

    Raises:
        RequestError: names the limit and the cheapest network.
    """
    objective, pricing = request.bounded_objective, space_pricing(request, space)
    relevant = architecture_parameters(space)
    if not objective.limits or not relevant:
        return
    tree, counted = Tree(relevant), Space(space.name, space.description, relevant)
    looking = Summarizer(tree, lambda x: build(counted.overrides(x)), pricing, objective)
    rng = random.Random(0)
    some = (looking.network(tree.draw(rng)) for _ in range(_SOME))
    if tree.total > _LISTED or any(a is not None and looking.fits(a) for a in some):
        return
    found = looking.listed(tree)
    if found.fitting.value or not found.architectures.value:
        return
    where = f"no network of space={space.name} keeps"
    for span in found.spans:
        limit = objective.limits.get(span.metric)
        if limit is not None and span.low > limit:
            raise RequestError(
                f"{where} a limit of {write_quantity(span.metric, limit)} on {span.metric}: the cheapest, "
                f"{span.cheapest}, has {write_quantity(span.metric, float(f'{span.low:.4g}'))}"
            )
    together = ", ".join(f"{name} {write_quantity(name, limit)}" for name, limit in objective.limits.items())
    raise RequestError(f"{where} these limits together ({together}): raise one of them")


def architecture_parameters(space: Space) -> tuple[Parameter, ...]:
    """The parameters that an architecture depends on, with those that their conditions look at."""
    needed = {p.name for p in space.parameters if p.override.partition(".")[0] in _ARCHITECTURE}
    for parameter in reversed(space.parameters):
        if parameter.name in needed:
            needed |= parameter.when.keys()
    return tuple(p for p in space.parameters if p.name in needed)


def _progress(assignments: list[dict[str, Value]]) -> Iterable[dict[str, Value]]:
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn())
    with progress_bars(make_console(stderr=True), *columns, transient=True) as shown:
        yield from shown.track(assignments, description="looking at the space")
