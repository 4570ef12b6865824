"""AERO Search: decoder-only language models searched for private inference.

An `Architecture` is data; its cost follows without training, its perplexity with, and a search looks for the
front between the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aero_search.export.load import Bundle

__all__ = ["__version__", "load_bundle"]

__version__ = "0.1.0"


def load_bundle(path: str | Path) -> Bundle:
    """Open an exported bundle: `.architecture`, and where asked `.module()`, `.folded()`, `.tokenizer()`.

    Every file is checked against the manifest; nothing in a bundle is executed, and torch waits for a module.

    Raises:
        RequestError: there is no folder at `path`.
        AeroSearchError: a file is missing, changed or unsafe.
    """
    from aero_search.export.load import load_bundle as load

    return load(path)
