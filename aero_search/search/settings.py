"""What must stay the same for a study to be resumed, and the sentence that says what did not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from aero_search.architecture.families import FACETS
from aero_search.architecture.operations import NONE, SOFTMAX
from aero_search.cost.protocol import Protocol
from aero_search.cost.trust import trust_word
from aero_search.cost.workload import PREFILL
from aero_search.errors import RequestError
from aero_search.schema import to_mapping
from aero_search.search.worker import Plan
from aero_search.space.allowed import LOWERING
from aero_search.training.recipe import Recipe

USD = "usd"

# Flat: dotted names to JSON values. What a space varies is compared through the space, not by its base value.
Settings = Mapping[str, Any]


def study_settings(plan: Plan, base: Mapping[str, Any], fingerprint: str) -> dict[str, Any]:
    """What a study's trials have in common, as flat JSON data.

    Args:
        base: the request's composed groups that every candidate starts from.
        fingerprint: of the corpus.
    """
    space = {p.name: to_mapping(p) for p in plan.space.parameters}
    space |= {LOWERING + entry: {"choices": names} for entry, names in plan.space.lowerings.items()}
    said = {
        **base,
        "objective": plan.objective.settings(),
        "protocol": to_mapping(plan.protocol),
        "network": to_mapping(plan.network),
        "target": to_mapping(plan.target) or {},
        # List prices change; of a study that does not look at money they change nothing.
        "price": to_mapping(plan.prices) if _looks_at_money(plan) else {},
        "workload": {} if plan.workload == PREFILL else to_mapping(plan.workload),
        "space": space,
        "corpus fingerprint": fingerprint,
    }
    flat = _flatten(json.loads(json.dumps(to_mapping(said))))
    return {name: value for name, value in flat.items() if name not in space}


def check_settings(name: str, old: Settings, new: Settings) -> None:
    """Refuse to mix trainings that cannot be compared.

    Raises:
        RequestError: the study was made with other settings, naming the first that differs.
    """
    old = {**_before(new), **old}
    if "protocol.trust" in old:  # written in full before it was a word
        old["protocol.trust"] = trust_word(old["protocol.trust"])
    # What a study starts from first: settings of that follow from it.
    for field in sorted({*old, *new}, key=lambda name: (not name.startswith("init."), name)):
        if old.get(field) != new.get(field):
            raise RequestError(
                f"study {name} was made with {field}={old.get(field)}, not {new.get(field)}: "
                "give another study.name, or the old setting"
            )


def _looks_at_money(plan: Plan) -> bool:
    return USD in plan.objective.metrics or USD in plan.objective.limits


def _before(new: Settings) -> dict[str, Any]:
    """What settings that came later than a study stood at when it was made.

    A lowering, a primitive or a use that a protocol has gained since changes no price of before, nor does what its
    machines are.
    """
    gained = (
        "protocol.primitives.",
        "protocol.lowerings.",
        "protocol.use.",
        "protocol.cores",
        "protocol.gpus",
    )
    recipe = {f"recipe.{f.name}": f.default for f in fields(Recipe) if f.default is not MISSING}
    protocol = {f"protocol.{f.name}": f.default for f in fields(Protocol) if f.default is not MISSING}
    attention = {"attention.kind": SOFTMAX, "attention.softmax_heads": 0, "attention.qk_norm": NONE}
    sizes = {"model.share_layers": 1, "model.public_layers": 0, "ffn.rank": 0}
    facets = {f"model.{name}": None for name in FACETS}
    later = {**attention, **sizes, **facets, **recipe, **protocol}
    return {
        name: value if name.startswith(gained) else later[name]
        for name, value in new.items()
        if name in later or name.startswith(gained)
    }


def _flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
