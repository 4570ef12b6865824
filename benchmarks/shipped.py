"""What `conf/` ships, for code that compares it without Hydra."""

from __future__ import annotations

from typing import TypeVar

import yaml

from aero_search.config.paths import conf_dir
from aero_search.schema import from_mapping

T = TypeVar("T")


def shipped(cls: type[T], group: str, name: str) -> T:
    """One option of a group, such as `search/sampler`, that needs no interpolation.

    Raises:
        SchemaError: it is none of `cls`.
    """
    path = conf_dir() / group / f"{name}.yaml"
    return from_mapping(cls, yaml.safe_load(path.read_text(encoding="utf-8")), group)
