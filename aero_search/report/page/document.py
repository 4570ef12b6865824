"""Everything a page knows, as one JSON document: the front's own (`front format=json`) and what goes with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aero_search.architecture import BASELINE, Architecture, ModelShape, parse_notation
from aero_search.cost import Network, Protocol
from aero_search.front.front import Front
from aero_search.front.pareto import COST_SLACK, FREE
from aero_search.front.pricing import Pricing
from aero_search.front.record import Record
from aero_search.front.seed_scatter import TIE
from aero_search.report.page.candidates import candidate_entries, results_of
from aero_search.report.page.prices import PageTariff
from aero_search.report.page.what_if import what_if
from aero_search.report.published import rows_at
from aero_search.schema import to_mapping
from aero_search.search.importance import METHOD, Importances
from aero_search.search.timeline import Moment
from aero_search.training.result import Result

LADDER_FILE = "ladder.json"


@dataclass(frozen=True)
class PageSource:
    """What a page is made of.

    Attributes:
        front_document: as `aero-search front format=json` prints it, at the prices that were asked for.
        pricing: those prices; the page opens with them.
        protocols: that the page offers, by name, the asked one among them.
        networks: likewise.
        shapes: sizes that what-if offers.
        settings: of the study, flat.
        commands: what to type, by what it does.
        folder: of the study; a ladder has left its table there.
        version: of this program.
    """

    name: str
    front: Front
    front_document: Mapping[str, Any]
    records: Sequence[Record]
    pricing: Pricing
    protocols: Mapping[str, Protocol]
    networks: Mapping[str, Network]
    shapes: Sequence[ModelShape]
    moments: Sequence[Moment]
    importances: Importances
    settings: Mapping[str, Any]
    commands: Mapping[str, str]
    created: float
    folder: Path
    version: str

    @property
    def base(self) -> Architecture | None:
        """A network of the size that the study is about: its baseline, or where that is unknown one of its own."""
        first = self.records[0].architecture if self.records else None
        return self.front.reference.baseline or first


def page_document(source: PageSource) -> dict[str, Any]:
    """The data of the page, SI units; every number in it can be written as JSON."""
    tariff = PageTariff(source.protocols, source.pricing.workload, source.pricing.lowerings)
    records, pricing, front = source.records, source.pricing, source.front
    results = results_of(records)
    base = source.base
    offered = [*front.points, *(record for record in front.dominated if front.is_baseline(record))]
    return {
        "study": source.name,
        "front": dict(source.front_document),
        "protocol": pricing.protocol.name,
        "network": pricing.network.name,
        "protocols": [_protocol(name, protocol, pricing) for name, protocol in source.protocols.items()],
        "prices": to_mapping(pricing.prices),
        "cheapest_by": pricing.lowerings.by,
        "networks": [to_mapping(network) for network in source.networks.values()],
        "metrics": list(front.objective.metrics),
        "quality": {
            "name": front.objective.quality,
            "maximized": front.reference.scale.maximized,
            "worst": front.reference.scale.worst,
        },
        "limits": dict(front.objective.limits),
        "target": None if pricing.target is None else pricing.target.text,
        "sizes": front.sizes,
        "unigram_perplexity": front.reference.unigram_perplexity,
        "cost_slack": COST_SLACK,
        "tie": TIE,
        "free": FREE,
        "baseline": {"notation": BASELINE, **_baseline(base, pricing, tariff)},
        "published": _published(front),
        "candidates": candidate_entries(records, results, front, pricing, tariff, source.moments),
        "importance": {"method": METHOD, **to_mapping(source.importances)},
        "ladder": _ladder(source.folder),
        "what_if": what_if(offered or records, base, source.shapes, tariff, pricing),
        "provenance": _provenance(source, results),
    }


def _protocol(name: str, protocol: Protocol, pricing: Pricing) -> dict[str, Any]:
    """What a page says of a protocol, and what a second of its compute costs."""
    said = {field: getattr(protocol, field) for field in ("title", "trust", "offline", "weights", "machine")}
    return {"name": name, **said, "usd_per_second": pricing.prices.a_second(protocol)}


def _baseline(base: Architecture | None, pricing: Pricing, tariff: PageTariff) -> dict[str, Any]:
    """The prices of SM + LN + G at the size that costs belong to; none where nothing tells it."""
    return (
        {"flops": None, "by": {}} if base is None else tariff(pricing.priced(parse_notation(BASELINE, base)))
    )


def _published(front: Front) -> list[dict[str, Any]]:
    """AERO's rows of this size; their perplexity only where what was trained has it too."""
    return [
        {
            "notation": row.variant.replace("+", " + "),
            "ffn_layers": row.ffn_layers,
            "dataset": row.dataset,
            "perplexity": row.perplexity if front.target is None else None,
            "communication_bytes": 1e9 * row.comm_gb,
            "latency_s": 60 * row.latency_min,
        }
        for row in rows_at(front)
    ]


def _ladder(folder: Path) -> dict[str, Any] | None:
    """What `aero-search ablate` has left in the study's folder; None for other studies."""
    try:
        told: Any = json.loads((folder / LADDER_FILE).read_text(encoding="utf-8"))
        return {
            "name": str(told["ladder"]["name"]),
            "description": str(told["ladder"]["description"]),
            "source": str(told["ladder"]["source"]),
            "rows": list(told["rows"]),
            "sentences": list(told["sentences"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _provenance(source: PageSource, results: Mapping[int, Result]) -> dict[str, Any]:
    first = next(iter(results.values()), None)
    fingerprints = sorted({result.fingerprint for result in results.values()})
    return {
        "created": source.created,
        "version": source.version,
        "trained with": dict(first.versions) if first else {},
        "corpus fingerprint": ", ".join(fingerprints) or source.settings.get("corpus fingerprint", ""),
        "seeds": sorted({record.seed for record in source.records}),
        "data seeds": sorted({result.data_seed for result in results.values()}),
        "settings": dict(source.settings),
        "commands": dict(source.commands),
    }
