"""Where the shipped YAML lies: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def _shipped(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def conf_dir() -> Path:
    """The folder of Hydra groups."""
    return _shipped("conf")


def search_spaces_dir() -> Path:
    """The folder of search spaces."""
    return _shipped("search_spaces")
