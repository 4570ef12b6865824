"""Protocol and network mappings as YAML text that reads like the hand-written files: one constant a line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def yaml_text(mapping: Mapping[str, Any], header: Sequence[str] = ()) -> str:
    """Write a mapping of mappings, lists of mappings and scalars.

    Args:
        header: comment lines for the top, without the leading `#`.
    """
    lines = [f"# {line}".rstrip() for line in header]
    _block(mapping, "", lines)
    return "\n".join(lines) + "\n"


def _block(mapping: Mapping[str, Any], indent: str, lines: list[str]) -> None:
    for key, value in mapping.items():
        if isinstance(value, Mapping) and any(isinstance(v, Mapping | list) for v in value.values()):
            lines.append(f"{indent}{key}:")
            _block(value, indent + "  ", lines)
        elif isinstance(value, Mapping) and not indent:
            lines.append(f"{key}:")
            lines.extend(f"  {name}: {_scalar(item)}" for name, item in value.items())
        else:
            lines.append(f"{indent}{key}: {_flow(value)}")


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_scalar(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        text = repr(value)
        # YAML 1.1 reads 1e-06 as text: it wants the dot and a signed exponent.
        if "e" in text and "." not in text:
            text = text.replace("e", ".0e")
        return text
    if isinstance(value, str) and value.replace("_", "").isalnum() and not value[0].isdigit():
        return value
    return json.dumps(value)
