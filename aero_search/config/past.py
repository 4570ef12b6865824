"""A study that exists: opened by name, its front rebuilt, and re-priced where the request names other prices."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from aero_search.architecture import Architecture
from aero_search.config.request import Request
from aero_search.cost import Network, Protocol
from aero_search.errors import RequestError
from aero_search.schema import from_mapping
from aero_search.search.front import Front, build_front
from aero_search.search.objective import Objective, baseline_costs, known_costs
from aero_search.search.pareto import Reference
from aero_search.search.record import Record
from aero_search.search.store import load_study, study_names
from aero_search.search.study import Study


@dataclass(frozen=True)
class PastStudy:
    """A study as a command looks at it.

    Attributes:
        records: every candidate, at the prices of `protocol` and `network`.
        told: the same at the prices the study was run with; `records` itself where those are asked for.
    """

    name: str
    objective: Objective
    protocol: Protocol
    network: Network
    unigram_perplexity: float
    records: tuple[Record, ...]
    told: tuple[Record, ...]
    told_costs: Mapping[str, float]
    attrs: Mapping[str, Any]

    @cached_property
    def front(self) -> Front:
        """The front at the asked prices."""
        costs = dict(self.told_costs)
        if self.repriced and self.records:
            like = self.records[0].architecture
            costs = baseline_costs(like, self.objective, self.protocol, self.network)
        return build_front(self.records, self.objective, Reference(self.unigram_perplexity, costs))

    @property
    def repriced(self) -> bool:
        """Whether the prices are not those the study was run with."""
        return self.records is not self.told

    def moves(self) -> Iterator[str]:
        """Which points enter and leave the front at the new prices, in words."""
        if not self.repriced:
            return
        before = build_front(self.told, self.objective, Reference(self.unigram_perplexity, self.told_costs))
        old = {record.number: record for record in before.points}
        new = {record.number: record for record in self.front.points}
        for number in sorted(new.keys() - old.keys()):
            yield f"enters the front: {new[number].label}"
        for number in sorted(old.keys() - new.keys()):
            yield f"leaves the front: {old[number].label}"
        if old.keys() == new.keys():
            yield "the front keeps the same points at these prices"

    def document(self) -> dict[str, Any]:
        """Everything as one JSON document."""
        return {
            "study": self.name,
            "protocol": self.protocol.name,
            "network": self.network.name,
            "repriced": self.repriced,
            "moves": list(self.moves()),
            **self.front.document(),
            "knee": self.front.knee().number if self.front.points else None,
        }


def open_past_study(request: Request) -> PastStudy:
    """Open the study that `study=` names; without a name, the only one or the newest.

    Raises:
        RequestError: it does not exist, with the nearest name that does.
    """
    name = request.study_name or _newest(request)
    study = load_study(request.output_dir, name)
    attrs = study.user_attrs
    if "reference" not in attrs:
        raise RequestError(f"study={name} holds no search yet: run aero-search search study.name={name}")
    objective = from_mapping(Objective, attrs["objective"], "objective")
    protocol = from_mapping(Protocol, attrs["protocol"], "protocol")
    network = from_mapping(Network, attrs["network"], "network")
    reprice = request.chosen("protocol") or request.chosen("network")
    protocol = request.protocol if request.chosen("protocol") else protocol
    network = _asked_network(request, network)
    told = tuple(
        Study(study, objective, request.output_dir / "studies" / name, _pricing(protocol, network)).records()
    )
    records = _repriced(told, _pricing(protocol, network)) if reprice else told
    return PastStudy(
        name=name,
        objective=objective,
        protocol=protocol,
        network=network,
        unigram_perplexity=attrs["reference"]["unigram_perplexity"],
        records=records,
        told=told,
        told_costs=attrs["reference"]["costs"],
        attrs=attrs,
    )


def _asked_network(request: Request, told: Network) -> Network:
    """The named network; with single fields alone, such as network.rtt_ms=1, the study's with those changed."""
    if not request.chosen("network"):
        return told
    if "network" in request.override_names():
        return request.network
    fields = {name.partition(".")[2] for name in request.override_names() if name.startswith("network.")}
    return replace(told, name="custom", **{name: getattr(request.network, name) for name in fields})


def _newest(request: Request) -> str:
    names = study_names(request.output_dir)
    if not names:
        raise RequestError(f"there is no study under output_dir={request.output_dir}: run aero-search search")
    if len(names) > 1:
        print(f"study {names[-1]}, the newest of {len(names)}: {', '.join(names)}", file=sys.stderr)
    return names[-1]


def _pricing(protocol: Protocol, network: Network) -> Callable[[Architecture], Mapping[str, float]]:
    return lambda architecture: known_costs(architecture, protocol, network)


def _repriced(
    records: Sequence[Record], costs: Callable[[Architecture], Mapping[str, float]]
) -> tuple[Record, ...]:
    return tuple(replace(record, costs=costs(record.architecture)) for record in records)
