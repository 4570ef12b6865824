"""`aero-search search`: handed to the sweeper and its workers; nothing is left to do here."""

from __future__ import annotations

from aero_search.config.command import Command
from aero_search.config.request import Request
from aero_search.errors import AeroSearchError


def run(request: Request) -> None:
    """Only reached when a launcher calls the task itself instead of the worker."""
    raise AeroSearchError("a search runs through hydra/sweeper=aero_search; leave hydra/sweeper as it is")


COMMAND = Command(
    "search",
    run,
    sweep="always",
    waits_for="loading PyTorch, Optuna and MLflow",
    settings=(
        "space",
        "init.from",
        "distill.weight",
        "study.name",
        "search.n_trials",
        "search.workers",
        "search/sampler",
        "search/rungs",
        "search.confirm",
        "objective",
        "objective.target",
        "network",
        "data",
        "recipe.steps",
        "format",
    ),
    examples=(
        "search study.name=mine search.n_trials=60",
        "search space=tiny",
        "search study.name=narrow norm=none 'recipe.lr=tag(log,interval(1e-3,8e-3))'",
    ),
)
