"""A protocol as the mapping its YAML file holds, fields at their defaults left out."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

import yaml

from aero_search.cost.protocol import Primitive, Protocol, SmallCalls, Term
from aero_search.schema import from_mapping, to_mapping
from aero_search.shipped import shipped


def shipped_protocol(name: str) -> Protocol:
    """The protocol of conf/protocol/NAME.yaml as it is shipped."""
    path = shipped("conf") / "protocol" / f"{name}.yaml"
    return from_mapping(Protocol, yaml.safe_load(path.read_text(encoding="utf-8")), "protocol")


def protocol_mapping(protocol: Protocol) -> dict[str, Any]:
    """What `conf/protocol/NAME.yaml` says of this protocol; `schema.from_mapping` reads it back."""
    mapping: dict[str, Any] = to_mapping(protocol)
    _drop_defaults(Protocol, mapping)
    for primitive in mapping["primitives"].values():
        _drop_defaults(Primitive, primitive)
        if "small" in primitive:
            _drop_defaults(SmallCalls, primitive["small"])
    for terms in mapping["lowerings"].values():
        for term in terms:
            _drop_defaults(Term, term)
            for name in ("times", "depth"):
                if name in term and float(term[name]).is_integer():
                    term[name] = int(term[name])
    return mapping


def _drop_defaults(cls: type, mapping: dict[str, Any]) -> None:
    for field in fields(cls):
        if field.default is not MISSING and mapping[field.name] == field.default:
            del mapping[field.name]
