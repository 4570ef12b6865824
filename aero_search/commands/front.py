"""`aero-search front`: a study's front, printed or as JSON, at the study's prices or at others."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace

from aero_search.app.saved_study import open_saved_study
from aero_search.config.command import Command
from aero_search.config.paths import output_option
from aero_search.config.request import Request
from aero_search.cost import Protocol
from aero_search.errors import RequestError, nearest
from aero_search.front.budget import Maxima
from aero_search.front.tradeoffs import next_steps
from aero_search.invocation import typed


@dataclass(frozen=True)
class FrontOptions:
    """conf/front.yaml"""

    systems: tuple[str, ...] | str | None
    links: tuple[str, ...]
    max_latency_s: float | None
    max_comm_gb: float | None
    max_flops: float | None
    max_perplexity: float | None

    @property
    def maxima(self) -> Maxima:
        return Maxima(self.max_latency_s, self.max_comm_gb, self.max_flops, self.max_perplexity)


def run(request: Request) -> None:
    """Print the front; with protocol= or network= first re-price every candidate, without training."""
    options = request.options(FrontOptions)
    if options.systems is not None:
        _under_systems(request, options)
    else:
        _front(request, options)


def _under_systems(request: Request, options: FrontOptions) -> None:
    from aero_search.config.config_options import offered_networks, offered_protocols
    from aero_search.console import make_console
    from aero_search.front.robust import robustness
    from aero_search.report.systems.robust import robust_report

    protocols, networks = offered_protocols(), offered_networks()
    named = (options.systems,) if isinstance(options.systems, str) else options.systems or ()
    chosen = tuple(protocols) if named == ("all",) else named
    for field, names, known in (("systems", chosen, protocols), ("links", options.links, networks)):
        for name in names:
            if name not in known:
                raise RequestError(f"{field}={name} is not offered: {nearest(name, [*known, 'all'])}")
    past = open_saved_study(request)
    reference = past.told_front.reference
    if reference.baseline is None:
        raise RequestError(
            f"study={past.name} does not say what its baseline is: systems= cannot weigh its points"
        )
    told = past.pricing
    pricings = {
        f"{name} on {link}": replace(told, protocol=priced(protocols[name], request), network=networks[link])
        for name in chosen
        for link in options.links
    }
    found = robustness(past.told, past.objective, reference.unigram_perplexity, reference.baseline, pricings)
    if request.format == "json":
        json.dump({"study": past.name, **found.document()}, sys.stdout, indent=1, allow_nan=False)
        print()
    else:
        make_console().print(robust_report(past.name, found))


def priced(protocol: Protocol, request: Request) -> Protocol:
    """With its preprocessing where that is asked for and known; `included` ones have it anyway."""
    return protocol.with_offline() if request.offline == "include" else protocol


def _front(request: Request, options: FrontOptions) -> None:
    from aero_search.console import make_console
    from aero_search.report.front import print_front
    from aero_search.report.tradeoffs import budget_words, choice_lines

    limits = options.maxima.limits(request.budget)
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
        "workload",
        "price",
        "offline",
        "systems",
        "budget.latency_s",
        "budget.communication_bytes",
        "budget.flops",
        "budget.usd",
        "budget.perplexity",
        "objective.target",
        "format",
        "output_dir",
    ),
    examples=(
        "front study=aero budget.latency_s='10 s'",
        "front study=aero network=wan protocol=spu_cheetah_0_9_5",
        "front study=aero systems=all",
    ),
)
