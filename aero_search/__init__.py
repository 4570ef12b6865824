"""AERO Search: decoder-only language models searched for private inference.

An `Architecture` is data; its cost follows without training, its perplexity with, and a search looks for the
front between the two. Everything listed in `__all__` is stable; docs/python_api.md shows how it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aero_search.version import __version__

if TYPE_CHECKING:
    from aero_search.api.pricing import parse_notation, price
    from aero_search.api.studies import Study, open_study, search
    from aero_search.api.training import train
    from aero_search.architecture import Architecture
    from aero_search.export.load import load_bundle

__all__ = [
    "Architecture",
    "Study",
    "__version__",
    "load_bundle",
    "open_study",
    "parse_notation",
    "price",
    "search",
    "train",
]

# Where each name lives; imported when it is first used, so that `import aero_search` takes no time. `search` is the
# subpackage of that name, which can be called.
_HOMES = {
    "Architecture": "aero_search.architecture",
    "Study": "aero_search.api.studies",
    "load_bundle": "aero_search.export.load",
    "open_study": "aero_search.api.studies",
    "parse_notation": "aero_search.api.pricing",
    "price": "aero_search.api.pricing",
    "train": "aero_search.api.training",
}


def __getattr__(name: str) -> Any:
    if name == "search":
        return importlib.import_module("aero_search.search")
    if name not in _HOMES:
        raise AttributeError(f"module 'aero_search' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
