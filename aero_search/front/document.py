"""A front as the JSON document that `front format=json` prints, the page holds and the tracking store keeps."""

from __future__ import annotations

from typing import Any

from aero_search.architecture import BASELINE
from aero_search.front.front import Front
from aero_search.front.quality import QUALITIES
from aero_search.front.record import Record
from aero_search.schema import to_mapping


def front_document(front: Front) -> dict[str, Any]:
    """The front as one JSON document."""
    return {
        "metrics": list(front.objective.metrics),
        "target_shape": to_mapping(front.target),
        "limits": dict(front.objective.limits),
        "reference": {
            "perplexity": front.reference.unigram_perplexity,
            **(
                {}
                if front.reference.scale.worst is None
                else {front.objective.quality: front.reference.scale.worst}
            ),
            "baseline": BASELINE,
            "costs": dict(front.reference.costs),
        },
        "hypervolume": front.hypervolume,
        "baseline_perplexity": front.baseline_perplexity,
        f"baseline_{front.objective.quality}": front.baseline_value,
        "front": [_entry(front, record) for record in front.points],
        "dominated": [_entry(front, record) for record in front.dominated],
        "stopped": [_entry(front, record) for record in front.stopped],
        "diverged": [_entry(front, record) for record in front.diverged],
        "above_limits": [_entry(front, record) for record in front.over],
    }


def _entry(front: Front, record: Record) -> dict[str, Any]:
    change = front.change(record)
    entry: dict[str, Any] = {
        "trial": record.number,
        "notation": record.notation,
        "key": record.candidate,
        "state": record.state,
        "reason": record.reason,
        **{name: record.metric(name) for name in QUALITIES},
        "change": None if change is None else {**to_mapping(change), "tied": change.tied},
        **record.costs,
        **({"lowerings": dict(record.lowerings)} if record.lowerings else {}),
        "lr": record.lr,
        "seed": record.seed,
        "seconds": record.seconds,
        "trained": _trainings(front, record),
        "overrides": list(record.overrides),
        "folder": str(record.folder),
    }
    if record.state == "stopped":
        step, loss = record.curve[-1]
        reached = front.reference.scale.value(loss)
        entry["rung"] = {"step": step, "steps": record.steps, front.objective.quality: reached}
    if (membership := front.memberships.get(record.number)) is not None:
        pairs = record.replicates or ((record.seed, record.compared),)
        value = front.reference.scale.value
        entry["seeds"] = {
            "seed": [seed for seed, _ in pairs],
            front.objective.quality: [None if loss is None else value(loss) for _, loss in pairs],
            **to_mapping(membership),
            **front.interval(membership),
        }
    return entry if front.target is None else {**entry, "target_notation": front.deployed(record)}


def _trainings(front: Front, record: Record) -> dict[str, Any]:
    """What stands behind a candidate: of its network the rates and settings tried, of itself the seeds."""
    network = front.network(record)
    return {
        "rates": network.rates,
        "settings": network.settings,
        "seeds": record.seeds,
        "trials": [training.number for training in network.trainings],
    }
