"""`export model=NAME`: the sizes that are asked for, and the configuration that trains a candidate at them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from aero_search.architecture import Architecture, ModelShape
from aero_search.architecture.families import FACETS
from aero_search.config.architecture import GROUPS, ModelGroup
from aero_search.config.request import Request
from aero_search.errors import RequestError, nearest
from aero_search.schema import from_mapping, to_mapping

# What no size changes.
_WIRED = ("name", "family", *FACETS)
_SIZES = tuple(field.name for field in fields(ModelShape) if field.name not in _WIRED)


def asked_shape(request: Request, like: Architecture) -> ModelShape:
    """The shape of `model=NAME`; with single fields alone, such as model.n_layer=12, that of `like` with those.

    Raises:
        RequestError: a field is no size, or the family is another one, whose layers are wired differently.
    """
    names = request.override_names()
    named = [override.partition("=")[2] for override in request.overrides if override.startswith("model=")]
    changed = [name.partition(".")[2] for name in names if name.startswith("model.")]
    for field in changed:
        if field not in _SIZES:
            raise RequestError(
                f"model.{field} is a choice of the candidate and no size: {nearest(f'model.{field}', _SIZES)}"
            )
    group = from_mapping(ModelGroup, request.composed.get("model"), "model")
    if named and group.family != like.family:
        raise RequestError(
            f"model={named[-1]} is of the family {group.family}, but the candidate is {like.family}: take a model "
            "of its family"
        )
    for name in FACETS if named else ():
        asked_for, had = getattr(group, name), getattr(like.wiring, name)
        if asked_for not in (None, had):
            raise RequestError(
                f"model={named[-1]} has {name}={asked_for}, but the candidate {name}={had}: take a model that "
                "is wired as it is"
            )
    wired = {name: getattr(like, name) for name in _WIRED[1:]}
    sizes = {name: getattr(group if named or name in changed else like, name) for name in _SIZES}
    name = named[-1] if named and not changed else "custom"
    return from_mapping(ModelShape, {"name": name, **wired, **sizes}, "model")


def resized_config(request: Request, config: Mapping[str, Any], architecture: Architecture) -> dict[str, Any]:
    """A candidate's composed configuration for another architecture, described whole instead of by groups.

    Corpus and recipe are the candidate's, or the request's where it names them.
    """
    asked = request.portable()
    kept = {name: value for name, value in config.items() if name not in (*GROUPS, "architecture")}
    named = {name: asked[name] for name in ("data", "recipe") if request.chosen(name)}
    return {**kept, **named, "architecture": to_mapping(architecture)}
