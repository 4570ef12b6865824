"""`aero-search front`: a study's front, printed or as JSON, at the study's prices or at others."""

from __future__ import annotations

import json
import sys

from aero_search.config.command import Command
from aero_search.config.past import open_past_study
from aero_search.config.paths import output_option
from aero_search.config.request import Request


def run(request: Request) -> None:
    """Print the front; with protocol= or network= first re-price every candidate, without training."""
    from rich.console import Console

    from aero_search.report.front import print_front

    past = open_past_study(request)
    if request.format == "json":
        json.dump(past.document(), sys.stdout, indent=1, allow_nan=False)
        print()
        return
    console = Console()
    target = f", target {past.pricing.target.name}" if past.pricing.target else ""
    console.print(f"study {past.name}, protocol {past.protocol.name}, network {past.network.name}{target}")
    print_front(past.front, console)
    for line in past.moves():
        console.print(line)
    if past.front.points:
        knee = past.front.knee()
        console.print(
            f"take one home: aero-search export study={past.name} pick=trial:{knee.number}"
            + output_option(request.output_dir),
            soft_wrap=True,
        )


COMMAND = Command("front", run)
