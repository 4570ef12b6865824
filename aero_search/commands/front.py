"""`aero-search front`: a study's front, printed or as JSON, at the study's prices or at others."""

from __future__ import annotations

import json
import sys

from aero_search.app.saved_study import open_saved_study
from aero_search.config.command import Command
from aero_search.config.paths import output_option
from aero_search.config.request import Request
from aero_search.front.budget import Maxima
from aero_search.front.tradeoffs import next_steps
from aero_search.invocation import typed


def run(request: Request) -> None:
    """Print the front; with protocol= or network= first re-price every candidate, without training."""
    from aero_search.console import make_console
    from aero_search.report.front import print_front
    from aero_search.report.tradeoffs import budget_words, choice_lines

    limits = request.options(Maxima).limits(request.budget)
    past = open_saved_study(request)
    front = past.front
    chosen = front.within(limits) if limits else front.balance
    steps = next_steps(front, chosen) if chosen else ()
    if request.format == "json":
        choice = None
        if chosen:
            choice = {"trial": chosen.number, "budget": limits, "steps": [step.document() for step in steps]}
        json.dump({**past.document(), "choice": choice}, sys.stdout, indent=1, allow_nan=False)
        print()
        return
    console = make_console()
    target = f", target {past.pricing.target.name}" if past.pricing.target else ""
    console.print(f"study {past.name}, protocol {past.protocol.name}, network {past.network.name}{target}")
    print_front(front, console)
    for line in past.moves():
        console.print(line)
    if chosen:
        how = f"best with {budget_words(limits)}" if limits else "best balance"
        for line in choice_lines(front, chosen, steps, how):
            console.print(line, soft_wrap=True)
        console.print(
            f"export one: {typed(f'export study={past.name} pick=trial:{chosen.number}')}"
            + output_option(request.output_dir),
            soft_wrap=True,
        )


COMMAND = Command(
    "front",
    run,
    waits_for="loading Optuna and the study",
    settings=(
        "study.name",
        "network",
        "protocol",
        "budget.latency_s",
        "budget.communication_bytes",
        "budget.flops",
        "budget.perplexity",
        "objective.target",
        "format",
        "output_dir",
    ),
    examples=(
        "front study=aero budget.latency_s='10 s'",
        "front study=aero network=wan protocol=spu_cheetah_0_9_5",
    ),
)
