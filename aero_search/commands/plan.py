"""`aero-search plan`: a dry run of a search; handed to the sweeper, which reads a space as `search` does."""

from __future__ import annotations

from aero_search.config.command import Command
from aero_search.config.request import Request
from aero_search.errors import AeroSearchError


def run(request: Request) -> None:
    """Only reached when another sweeper was asked for."""
    raise AeroSearchError("a plan runs through hydra/sweeper=aero_search; leave hydra/sweeper as it is")


COMMAND = Command(
    "plan",
    run,
    sweep="always",
    waits_for="loading the space and pricing its networks",
    settings=(
        "space",
        "search.n_trials",
        "objective",
        "objective.target",
        "network",
        "protocol",
        "limit",
        "samples",
        "seed",
        "format",
    ),
    examples=(
        "plan space=aero_per_layer",
        "plan objective.target=gpt2_small format=json",
    ),
)
