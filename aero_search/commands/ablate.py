"""`aero-search ablate`: handed to the sweeper and its workers; nothing is left to do here."""

from __future__ import annotations

from aero_search.config.command import Command
from aero_search.config.request import Request
from aero_search.errors import AeroSearchError


def run(request: Request) -> None:
    """Only reached when a launcher calls the task itself instead of the worker."""
    raise AeroSearchError("a ladder runs through hydra/sweeper=aero_search; leave hydra/sweeper as it is")


COMMAND = Command(
    "ablate",
    run,
    sweep="always",
    waits_for="loading PyTorch, Optuna and MLflow",
    settings=(
        "ladder",
        "study.name",
        "search.workers",
        "data",
        "recipe.steps",
        "network",
        "protocol",
        "format",
        "output_dir",
    ),
    examples=("ablate ladder=nonlinearity",),
)
