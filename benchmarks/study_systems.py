"""The fronts of one study under every system side by side: nothing is trained, every candidate is priced again.

Opens the study; where there is none of that name, runs the default search (further arguments are its settings). `*`
marks a candidate that is on a system's front, beside the first cost of the study's objective; `-` is one that the
system cannot run.

    OMP_NUM_THREADS=1 python -m benchmarks.study_systems [--study NAME] [--folder OUTPUT_DIR] [--network lan]
        [--output FILE] [SETTING ...]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aero_search.app.saved_study import SavedStudy, open_saved_study
from aero_search.cli import main as aero_search
from aero_search.config.compose import compose_request, named_network
from aero_search.cost import crossing, shipped_protocol, systems
from aero_search.errors import RequestError
from aero_search.front.front import Front, build_front
from aero_search.front.record import Record
from aero_search.front.robust import priced_where_known, robustness
from aero_search.search.catalogue import listed_names
from benchmarks.write_report import say

NAMES = ("aero_paper", "spu_cheetah_0_9_5", *systems())
UNITS = {"latency_s": (1.0, "s"), "communication_bytes": (1e6, "MB"), "usd": (1e-2, "cent")}


@dataclass(frozen=True)
class Priced:
    """A study under one system.

    Attributes:
        front: of the candidates that the system runs.
        costs: of every finished candidate by trial; None where the system cannot run it.
    """

    front: Front
    costs: Mapping[int, Mapping[str, float] | None]


def under(study: SavedStudy, name: str, network: str) -> Priced | None:
    """The study at a system's prices; None where the system does not run the baseline."""
    pricing = replace(study.told_pricing, protocol=shipped_protocol(name), network=named_network(network))
    reference = study.told_front.reference
    if reference.baseline is None:
        raise RequestError(f"study={study.name} does not say what its baseline is: its fronts have no box")
    done = [r for r in study.told if r.state == "finished" and r.perplexity is not None]
    try:
        box = replace(reference, costs=pricing.baseline(reference.baseline, study.objective))
    except RequestError:
        return None
    costs = priced_where_known([r.architecture for r in done], pricing)
    runs = [replace(r, costs=cost) for r, cost in zip(done, costs, strict=True) if cost is not None]
    front = build_front(runs, study.objective, box, pricing.target)
    return Priced(front, {r.number: cost for r, cost in zip(done, costs, strict=True)})


def side_by_side(study: SavedStudy, found: Mapping[str, Priced]) -> Iterator[str]:
    """One line a candidate that is on a front somewhere, best quality first; one column a system."""
    metric = study.objective.costs[0]
    scale, unit = UNITS.get(metric, (1.0, ""))
    yield f"{metric}{f', {unit}' if unit else ''}"
    yield f"{'trial':>6} {'candidate':44}{'perplexity':>11}" + "".join(f"{name[:10]:>11}" for name in found)
    somewhere: dict[int, Record] = {r.number: r for p in found.values() for r in p.front.points}
    for record in sorted(somewhere.values(), key=lambda r: (r.perplexity or 0.0, r.number)):
        cells = []
        for priced in found.values():
            cost, on = priced.costs[record.number], record.number in _numbers(priced.front)
            cells.append("-" if cost is None else f"{'*' if on else ''}{cost[metric] / scale:.3g}")
        yield f"{record.number:6} {record.notation[:43]:44}{record.perplexity:11.2f}" + "".join(
            f"{cell:>11}" for cell in cells
        )


def what_changes(study: SavedStudy, found: Mapping[str, Priced]) -> Iterator[str]:
    """One line a system: its front in numbers, and what AERO's steps do to be on it."""
    own = _numbers(study.told_front)
    heads = ("points", "as run", "norms", "activations", "attention", "hypervolume")
    yield f"{'':20}" + "".join(f"{head:>12}" for head in heads) + "  best balance"
    for name, priced in found.items():
        points = priced.front.points
        same = len(own & _numbers(priced.front))
        shares = (
            sum(any(ACTIVE[part](layer) for layer in r.architecture.layers) for r in points) / len(points)
            for part in ACTIVE
        )
        balance = priced.front.balance
        yield (
            f"{name:20}{len(points):12}{f'{same} of {len(own)}':>12}"
            + "".join(f"{share:12.0%}" for share in shares)
            + f"{priced.front.hypervolume:12.3f}  {'' if balance is None else balance.label}"
        )


ACTIVE = {
    "norms": lambda layer: layer.norm != "none",
    "activations": lambda layer: layer.has_ffn and layer.activation != "identity",
    "attention": lambda layer: layer.attends,
}


def least_lost(study: SavedStudy, network: str) -> Iterator[str]:
    """The candidates that lose least in the worst system."""
    link = named_network(network)
    pricings = {
        name: replace(study.told_pricing, protocol=shipped_protocol(name), network=link) for name in NAMES
    }
    reference = study.told_front.reference
    assert reference.baseline is not None
    found = robustness(
        study.told, study.objective, reference.unigram_perplexity, reference.baseline, pricings
    )
    for standing in found.standings[:5]:
        yield (
            f"{standing.regret[standing.worst]:6.1%} under {standing.worst:20} on {standing.fronts} of "
            f"{len(found.systems)} fronts: {standing.record.label}"
        )


def report(study: SavedStudy, network: str) -> Iterator[str]:
    """The whole text."""
    priced = {name: under(study, name, network) for name in NAMES}
    found = {name: one for name, one in priced.items() if one is not None and one.front.points}
    target = study.told_pricing.target
    yield (
        f"study {study.name}: {len(study.told)} candidates, run under {study.told_pricing.protocol.name} on "
        f"{study.told_pricing.network.name}; priced here on {network}, "
        f"{'at its own size' if target is None else f'at the size of {target.name}'}"
    )
    yield from ("", *side_by_side(study, found), "")
    yield "share of a front's points that keep something of a kind; points that are on the front as run"
    yield from (*what_changes(study, found), "")
    yield "lose least in the worst system (share of its box)"
    yield from least_lost(study, network)
    if left := [name for name in NAMES if name not in found]:
        yield f"no prices for the baseline: {', '.join(left)}"
    yield crossing(shipped_protocol(name).trust for name in found)


def _numbers(front: Front) -> set[int]:
    return {record.number for record in front.points}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--study", default="aero", help="its name; run as the default search if there is none"
    )
    parser.add_argument("--folder", type=Path, default=Path("outputs"), help="output_dir of the study")
    parser.add_argument("--network", default="lan", help="of the group network")
    parser.add_argument("--output", type=Path, help="write the text here as well")
    asked, settings = parser.parse_known_args(arguments)
    place = (f"study.name={asked.study}", f"output_dir={asked.folder}")
    if asked.study not in listed_names(asked.folder, None) and (
        code := aero_search(("search", *place, *settings))
    ):
        raise SystemExit(code)
    study = open_saved_study(compose_request("front", {}, place))
    say("\n".join(report(study, asked.network)) + "\n", asked.output, "python -m benchmarks.study_systems")


if __name__ == "__main__":
    main()
