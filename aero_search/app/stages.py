"""`search/stages=`: from the names in a request to its stages, each a study of its own beside the search's.

Stage `medium` of the study `aero` is the study `aero.medium`: what the one before promotes is queued there, so it
resumes, is looked at, exported and re-priced like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aero_search.app.study import check_sizes_stay, make_runner
from aero_search.architecture import BASELINE, parse_notation
from aero_search.config.request import Request
from aero_search.config.target import load_shape
from aero_search.cost import flops
from aero_search.errors import RequestError
from aero_search.search.candidate import Candidate
from aero_search.search.stages.promotion import to_promote
from aero_search.search.stages.spec import PROXY
from aero_search.search.stages.stage import Stage
from aero_search.search.study import Study
from aero_search.search.study_runner import StudyRunner
from aero_search.space import Space
from aero_search.training.recipe import Recipe

Compose = Callable[[Sequence[str]], Request]


def asked_stages(request: Request, space: Space, compose: Compose) -> tuple[Stage, ...]:
    """The stages of a request, smallest first.

    Args:
        compose: from overrides to the request with them; tells a recipe's mistakes before anything is trained.

    Raises:
        RequestError: no such model, a stage smaller than the one before, a recipe that cannot be, or a setting
            that does not go with stages.
    """
    sizes = request.search.stages.sizes
    if not sizes:
        return ()
    if request.checkpoint is not None:
        raise RequestError(
            "search/stages trains at other sizes, for which init.from has no weights: leave one out"
        )
    if request.composed.get("architecture") is not None:
        raise RequestError("architecture= describes a network of one size: leave it or search/stages out")
    check_sizes_stay(space, "search/stages", "take search/stages=none")
    baseline = parse_notation(BASELINE, request.architecture)
    before, work = PROXY, flops(baseline).total
    stages = []
    for i, size in enumerate(sizes):
        where = f"search.stages.sizes[{i}]"
        sizes_set = [line for line in size.overrides if line.startswith("model.")]
        recipe = tuple(line for line in size.overrides if line.startswith("recipe."))
        shape = load_shape(size.model, f"{where}.model", sizes_set)
        stage = Stage(size.title, shape, recipe, size.networks)
        try:
            here = flops(stage.architecture(baseline)).total
        except RequestError as problem:
            raise RequestError(f"{where}.model={size.model}: {problem}") from problem
        if here < work:
            raise RequestError(
                f"{where}.model={size.model} is smaller than the stage before, {before} ({here / 1e6:.4g} against "
                f"{work / 1e6:.4g} MFLOPs a forward pass of {BASELINE}): list sizes from small to large"
            )
        try:
            asked = _stage_request(stage, compose)
            _ = asked.architecture, asked.recipe  # wrong ones are told before anything is trained
        except RequestError as problem:
            raise RequestError(f"{where}: {problem}") from problem
        before, work = stage.name, here
        stages.append(stage)
    return tuple(stages)


def stage_recipe(stage: Stage, compose: Compose) -> Recipe:
    """The recipe of a stage's trainings.

    Raises:
        RequestError: it cannot be.
    """
    return compose(stage.overrides).recipe


@dataclass(frozen=True)
class StageCompose:
    """From a study's overrides to what trains at a stage; picklable.

    Attributes:
        compose: from a study's overrides to a candidate at the proxy's size.
    """

    compose: Callable[[Sequence[str]], Candidate]
    stage: Stage

    def __call__(self, overrides: Sequence[str]) -> Candidate:
        return self.stage.candidate(self.compose, overrides)


def stage_runner(
    stage: Stage, name: str, before: StudyRunner, study: Study, compose: Compose, command: str
) -> StudyRunner:
    """The study that trains at a stage what the study before it promotes.

    Args:
        name: of the search's study.
        before, study: the stage below.
        compose: from overrides to a request.
        command: that resumes the whole search.

    Raises:
        RequestError: the study is there, and was made with other settings.
    """
    numbers = to_promote(study.records(), before.plan.objective, before.reference, stage.networks)
    trials = study.study.get_trials(deepcopy=False)
    return make_runner(
        _stage_request(stage, compose),
        before.plan.space,
        start=[dict(trials[number].params) for number in numbers],
        name=f"{name}.{stage.name}",
        only_queued=True,
        command=command,
    )


def _stage_request(stage: Stage, compose: Compose) -> Request:
    """What a stage's study is made of: the stage's sizes and recipe, every candidate trained once to its end."""
    sizes = [
        f"model.{field}={'null' if (value := getattr(stage.shape, field)) is None else value}"
        for field in ("n_layer", "n_head", "n_kv_head", "d_model", "seq_len")
    ]
    once = ["search.confirm=0", "search.rungs.name=none", "search.stages.name=none", "search.stages.sizes=[]"]
    return compose([*sizes, *stage.overrides, *once])
