"""A study that exists: opened by name, its front rebuilt, and re-priced where the request names other prices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from aero_search.architecture import BASELINE, Architecture, ModelShape, parse_notation
from aero_search.config.request import Request
from aero_search.config.target import load_shape
from aero_search.cost import Lowerings, Network, PriceList, Protocol, Workload, crossing
from aero_search.errors import RequestError
from aero_search.front.document import front_document
from aero_search.front.front import Front, build_front
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference
from aero_search.front.pricing import Pricing, lowerings_of
from aero_search.front.quality import QualityScale
from aero_search.front.record import Record
from aero_search.invocation import typed
from aero_search.printing import print_line
from aero_search.schema import SchemaError, from_mapping
from aero_search.search.catalogue import listed_names
from aero_search.search.study import Study
from aero_search.space.allowed import LOWERING
from aero_search.workers.database import load_study, no_study


@dataclass(frozen=True)
class SavedStudy:
    """A study as a command looks at it.

    Attributes:
        objective: with the limits that are asked for.
        pricing: protocol, network and target that are asked for.
        records: every candidate, at the prices of `pricing`.
        told: the same at the prices the study was run with; `records` itself where those are asked for.
        told_front: the front that the study itself has shown.
        study: the record that all this was read from.
        told_pricing: the prices that the study was run with.
    """

    name: str
    objective: Objective
    pricing: Pricing
    records: tuple[Record, ...]
    told: tuple[Record, ...]
    told_front: Front
    attrs: Mapping[str, Any]
    study: Study
    told_pricing: Pricing

    @cached_property
    def front(self) -> Front:
        """The front at the asked prices and limits."""
        reference = self.told_front.reference
        if self.repriced and reference.baseline is not None:
            reference = replace(reference, costs=self.pricing.baseline(reference.baseline, self.objective))
        return build_front(self.records, self.objective, reference, self.pricing.target)

    @property
    def protocol(self) -> Protocol:
        return self.pricing.protocol

    @property
    def network(self) -> Network:
        return self.pricing.network

    @property
    def repriced(self) -> bool:
        """Whether the prices are not those the study was run with."""
        return self.records is not self.told

    def moves(self) -> Iterator[str]:
        """Which points enter and leave the front at the new prices and limits, in words."""
        if warning := crossing([self.told_pricing.protocol.trust, self.protocol.trust]):
            yield warning
        yield from self.pricing.lowerings.unknown_to(self.protocol)
        if not self.repriced and self.objective.limits == self.told_front.objective.limits:
            return
        old = {record.number: record for record in self.told_front.points}
        new = {record.number: record for record in self.front.points}
        for number in sorted(new.keys() - old.keys()):
            yield f"enters the front: {new[number].label}"
        for number in sorted(old.keys() - new.keys()):
            yield f"leaves the front: {old[number].label}"
        if old.keys() == new.keys():
            yield "the front keeps the same points"

    def document(self) -> dict[str, Any]:
        """Everything as one JSON document."""
        return {
            "study": self.name,
            "protocol": self.protocol.name,
            "network": self.network.name,
            "workload": self.pricing.workload.name,
            "price": self.pricing.prices.name,
            "trust": self.protocol.trust,
            "target": None if self.pricing.target is None else self.pricing.target.name,
            "repriced": self.repriced,
            "moves": list(self.moves()),
            **front_document(self.front),
            "knee": self.front.balance.number if self.front.balance else None,
        }


def open_saved_study(request: Request) -> SavedStudy:
    """Open the study that `study=` names; without a name, the only one or the newest.

    Raises:
        RequestError: it does not exist, with the nearest name that does.
    """
    name = request.study_name or _newest(request)
    study, _ = load_study(request.output_dir, name, request.search.storage)
    attrs = study.user_attrs
    if "reference" not in attrs:
        raise RequestError(f"study={name} holds no search yet: run {typed(f'search study.name={name}')}")
    objective, told_pricing = read_told(name, attrs)
    pricing = _asked_pricing(request, told_pricing)
    opened = Study(study, objective, request.output_dir / "studies" / name, pricing.price)
    told = tuple(opened.records())
    reference = read_reference(attrs["reference"], told, objective, told_pricing)
    return SavedStudy(
        name=name,
        objective=_asked_limits(request, objective),
        pricing=pricing,
        records=told if pricing == told_pricing else _repriced(told, pricing),
        told=told,
        told_front=build_front(told, objective, reference, told_pricing.target),
        told_pricing=told_pricing,
        attrs=attrs,
        study=opened,
    )


def read_told(name: str, attrs: Mapping[str, Any]) -> tuple[Objective, Pricing]:
    """What a study was run with; one of an earlier version has neither target nor limits.

    Raises:
        RequestError: this version cannot read it.
    """
    try:
        target = attrs.get("target")
        pricing = Pricing(
            from_mapping(Protocol, attrs["protocol"], "protocol"),
            from_mapping(Network, attrs["network"], "network"),
            from_mapping(ModelShape, target, "target") if target else None,
            from_mapping(Workload, attrs.get("workload") or {}, "workload"),
            from_mapping(PriceList, attrs.get("price") or {}, "price"),
        )
        objective = from_mapping(Objective, attrs["objective"], "objective")
        listed = from_mapping(Lowerings, {"choices": attrs.get("lowerings") or {}}, "lowerings")
        return objective, replace(pricing, lowerings=lowerings_of(listed.choices, objective))
    except (KeyError, SchemaError) as problem:
        said = f"it has no {problem}" if isinstance(problem, KeyError) else str(problem)
        raise RequestError(
            f"study={name} was made by an earlier version and cannot be read ({said}): its candidates lie under "
            f"studies/{name}; search again under another study.name"
        ) from problem


def read_reference(
    said: Mapping[str, Any], records: Sequence[Record], objective: Objective, pricing: Pricing
) -> Reference:
    """The reference that a study was run with.

    One of an earlier version does not say what its baseline is: that is the network among those of its candidates'
    sizes that costs, at the study's own prices, what the reference says.
    """
    costs: Mapping[str, float] = said["costs"]
    if (told := said.get("baseline")) is not None:
        scale = QualityScale.of(said)
        return Reference(
            said["unigram_perplexity"],
            costs,
            from_mapping(Architecture, told, "baseline"),
            None if scale.worst is None else scale,
        )

    def away(a: Architecture) -> float:
        priced = pricing.baseline(a, objective)
        return max(abs(priced[name] - cost) / (cost or 1.0) for name, cost in costs.items())

    sizes = dict.fromkeys(parse_notation(BASELINE, record.architecture) for record in records)
    nearest = min(sizes, key=away) if len(sizes) > 1 else next(iter(sizes), None)
    return Reference(said["unigram_perplexity"], costs, nearest)


def _asked_pricing(request: Request, told: Pricing) -> Pricing:
    """The study's own protocol, network and target, but for those that the request names."""
    target = told.target
    if "objective.target" in request.override_names():
        name = request.objective.target
        target = None if name is None else load_shape(name)
    return Pricing(
        protocol=_asked_protocol(request, told.protocol),
        network=_asked_network(request, told.network),
        target=target,
        workload=request.workload if request.chosen("workload") else told.workload,
        prices=request.prices if request.chosen("price") else told.prices,
        lowerings=told.lowerings.without(request.named_lowerings()),
    )


def _asked_limits(request: Request, told: Objective) -> Objective:
    """The study's objective, with those of its limits changed that the request names; `null` lifts one.

    What the request does not name is null in its configuration, and says nothing.
    """
    names, asked = request.override_names(), request.objective.constraints
    limits = dict(told.constraints)
    if "objective/constraints" in names:  # a whole set of them, instead of the study's
        limits = dict(asked)
    elif "objective.constraints" in names:  # written as a mapping
        limits |= {metric: limit for metric, limit in asked.items() if limit.max is not None}
    prefix = "objective.constraints."
    for name in names:
        if name.startswith(prefix):
            metric = name.removeprefix(prefix).partition(".")[0]
            limits[metric] = asked[metric]
    return replace(told, constraints=limits)


def _asked_protocol(request: Request, told: Protocol) -> Protocol:
    """The named protocol, or the study's own; with lowerings alone (protocol.use.gelu=gelu_puma) with these.

    Where `offline=include` asks for it, preprocessing is counted.
    """
    names = [name for name in request.override_names() if name.partition(".")[0] == "protocol"]
    if not all(name.startswith(LOWERING) for name in names):
        return request.protocol
    use: Mapping[str, str] = request.composed["protocol"]["use"]
    told = told.with_use({entry: use[entry] for entry in request.named_lowerings()})
    return told.with_offline() if request.offline == "include" else told


def _asked_network(request: Request, told: Network) -> Network:
    """The named network; with single fields alone, such as network.rtt_ms=1, the study's with those changed."""
    if not request.chosen("network"):
        return told
    if "network" in request.override_names():
        return request.network
    fields = {name.partition(".")[2] for name in request.override_names() if name.startswith("network.")}
    return replace(told, name="custom", **{name: getattr(request.network, name) for name in fields})


def _newest(request: Request) -> str:
    names = listed_names(request.output_dir, request.search.storage)
    if not names:
        raise RequestError(no_study(request.output_dir, request.search.storage))
    if len(names) > 1:
        print_line(f"study {names[-1]}, the newest of {len(names)}: {', '.join(names)}", stderr=True)
    return names[-1]


def _repriced(records: Sequence[Record], pricing: Pricing) -> tuple[Record, ...]:
    prices = (pricing.price(record.architecture) for record in records)
    return tuple(
        replace(record, costs=price.costs, lowerings=price.lowerings)
        for record, price in zip(records, prices, strict=True)
    )
