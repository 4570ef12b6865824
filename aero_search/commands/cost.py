"""`aero-search cost`: what an architecture costs under private inference, without training it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aero_search.architecture import notation
from aero_search.config.command import Command
from aero_search.config.request import Request
from aero_search.cost import (
    PREFILL,
    Cost,
    compare_published,
    compare_system,
    cost_document,
    crossing,
    estimate,
    published_document,
    shipped_protocol,
    single_changes,
    systems,
    systems_document,
)
from aero_search.errors import RequestError, nearest
from aero_search.printing import print_line


@dataclass(frozen=True)
class CostOptions:
    """conf/cost.yaml"""

    table: Literal["published", "systems"] | None
    plot: str | None
    decode: bool
    flops_convention: Literal["full", "aero"]


def run(request: Request) -> Request:
    """Check that the request can be priced; printing waits until all requests of a sweep are known."""
    options = request.options(CostOptions)
    _ = request.architecture, request.protocol, request.network, request.prices
    if options.decode and request.workload != PREFILL:
        raise RequestError("decode=true and workload= both say what runs: leave one out")
    return request


def finish(requests: Sequence[Request]) -> None:
    """Print the costs of one request, or of a sweep beside each other."""
    options = requests[0].options(CostOptions)
    if options.plot is not None:
        _plot(requests, options.plot, options.decode)
    if options.table == "published":
        _published(requests)
    elif options.table == "systems":
        _systems(requests)
    elif requests[0].format == "json":
        documents = [
            cost_document(
                r.architecture,
                r.protocol,
                r.network,
                options.flops_convention,
                options.decode,
                r.workload,
                r.prices,
            )
            for r in requests
        ]
        _print_json(documents[0] if len(documents) == 1 else documents)
    else:
        _tables(requests, options.decode)


def _tables(requests: Sequence[Request], decode: bool) -> None:
    from aero_search.console import make_console
    from aero_search.report.costs.tables import cost_report, variants_table

    console = make_console()
    if len(requests) > 1:
        console.print(variants_table(_named_costs(requests, decode)))
        if warning := crossing(r.protocol.trust for r in requests):
            console.print(warning)
        return
    request = requests[0]
    workload = request.workload
    cost = estimate(request.architecture, request.protocol, request.network, decode, workload, request.prices)
    changes = single_changes(request.architecture, request.protocol, request.network, workload=workload)
    name = notation(request.architecture)
    console.print(cost_report(name, cost, request.protocol, request.network, changes, workload))


def _published(requests: Sequence[Request]) -> None:
    from aero_search.console import make_console
    from aero_search.report.costs.comparisons import published_report

    if len(requests) > 1:
        raise RequestError("table=published compares all published rows already: leave --multirun out")
    comparisons = compare_published(requests[0].protocol, requests[0].network)
    if requests[0].format == "json":
        _print_json(published_document(comparisons))
    else:
        make_console().print(published_report(comparisons))


def _systems(requests: Sequence[Request]) -> None:
    from aero_search.console import make_console
    from aero_search.report.costs.comparisons import systems_report

    request = requests[0]
    if len(requests) > 1:
        raise RequestError("table=systems compares all systems already: leave --multirun out")
    known = systems()
    if not request.chosen("protocol"):
        protocols = [shipped_protocol(name) for name in known]
    elif request.protocol.name in known:
        protocols = [request.protocol]
    else:
        named = request.protocol.name
        raise RequestError(f"table=systems has no rows of protocol={named}: {nearest(named, known)}")
    compared = [(protocol, compare_system(protocol)) for protocol in protocols]
    if request.format == "json":
        _print_json(systems_document(compared))
    else:
        make_console().print(systems_report(compared))


def _plot(requests: Sequence[Request], name: str, decode: bool) -> None:
    from aero_search.report.costs.bars import plot_costs

    path = plot_costs(_named_costs(requests, decode), Path(name))
    print_line(f"picture: {path}", stderr=True)


def _named_costs(requests: Sequence[Request], decode: bool) -> list[tuple[str, Cost]]:
    return [
        (
            _name(r, requests),
            estimate(r.architecture, r.protocol, r.network, decode, r.workload, r.prices),
        )
        for r in requests
    ]


def _name(request: Request, requests: Sequence[Request]) -> str:
    """The network's notation, and the system where they differ in it."""
    name = notation(request.architecture)
    systems = {r.protocol.name for r in requests}
    return name if len(systems) == 1 else f"{name} [{request.protocol.name}, {request.protocol.trust}]"


def _print_json(document: object) -> None:
    json.dump(document, sys.stdout, indent=1, allow_nan=False)
    print()


COMMAND = Command(
    "cost",
    run,
    sweep="basic",
    finish=finish,
    waits_for="loading networks, protocols and prices",
    settings=(
        "model",
        "variant",
        "norm",
        "activation",
        "ffn",
        "model.seq_len",
        "protocol",
        "network",
        "workload",
        "price",
        "offline",
        "table",
        "plot",
        "decode",
        "format",
    ),
    examples=(
        "cost model=gpt2_small variant=sm_ln_g",
        "cost --multirun variant=sm_ln_g,sm_ln_r,sm_scfuffn model=gpt2_small plot=costs.png",
        "cost table=published",
        "cost table=systems",
    ),
)
