"""`metrics.json` and `provenance.json` of an export."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aero_search.architecture import BASELINE, key
from aero_search.cost.document import cost_document
from aero_search.export.choice import Choice, Kind
from aero_search.export.layout import PROVENANCE_FILE
from aero_search.schema import to_mapping
from aero_search.training.result import Result


def metrics(choice: Choice, result: Result) -> dict[str, Any]:
    """What was measured and what is predicted: perplexity, accuracy, losses and entropies in nats, cost by part."""
    record, front = choice.record, choice.front
    return {
        "notation": record.notation,
        "perplexity": result.perplexity,
        "accuracy": result.accuracy,
        "bits_per_byte": result.bits_per_byte,
        "validation_loss_nats": result.validation_loss,
        **({"labels": dict(result.labels)} if result.labels else {}),
        "parameters": result.parameters,
        "entropy_nats_by_layer_and_head": to_mapping(result.entropy),
        "entropy_health": to_mapping(result.health),
        "norm_health": to_mapping(result.norms),
        "curve": to_mapping(result.curve),
        "baseline": {"notation": BASELINE, "perplexity": front.baseline_perplexity, **front.baseline},
        "savings_against_baseline": {metric: front.saving(record, metric) for metric in front.baseline},
        "on_front": record in front.points,
        **_priced(choice),
    }


def _priced(choice: Choice) -> dict[str, Any]:
    protocol, network, target = choice.pricing.protocol, choice.pricing.network, choice.pricing.target
    trained = cost_document(choice.record.architecture, protocol, network)
    if target is None:
        return {"cost": trained}
    return {
        "perplexity_of": "the proxy that was trained",
        "cost_of": to_mapping(target),
        "cost": cost_document(choice.pricing.priced(choice.record.architecture), protocol, network),
        "cost_of_the_proxy": trained,
    }


def provenance(choice: Choice, result: Result, kind: Kind, files: Sequence[str]) -> dict[str, Any]:
    """Where an export comes from. Nothing in it changes from one export to the next."""
    versions: Mapping[str, str] = result.versions
    return {
        "kind": kind,
        "study": choice.study,
        "trial": choice.record.number,
        "picked_by": choice.picked_by,
        "key": key(choice.record.architecture),
        "candidate": choice.record.candidate,
        "search_command": choice.search_command,
        "overrides": list(choice.record.overrides),
        "seed": result.seed,
        "data_seed": result.data_seed,
        "corpus_fingerprint": result.fingerprint,
        "git": versions.get("git"),
        "versions": {name: version for name, version in versions.items() if name != "git"},
        "training_seconds": result.seconds,
        "files": sorted(files),
    }


def write_provenance(
    choice: Choice, result: Result, kind: Kind, folder: Path, more: Sequence[str] = ()
) -> None:
    """Write `provenance.json` beside the files that lie in `folder`; `more` are still to be written."""
    files = {path.name for path in folder.iterdir()} | {PROVENANCE_FILE, *more}
    write_json(folder / PROVENANCE_FILE, provenance(choice, result, kind, sorted(files)))


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write strict JSON."""
    path.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n")
