"""Where the shipped YAML lies: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

import os
from pathlib import Path

from aero_search.errors import RequestError
from aero_search.errors import output_option as output_option
from aero_search.report.checkup import can_write

_PACKAGE = Path(__file__).resolve().parent.parent


def _shipped(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def writable(output_dir: Path) -> Path:
    """The folder that results go to, if it can be written to or created; nothing is created yet.

    Raises:
        RequestError: it cannot.
    """
    if not can_write(output_dir):
        raise RequestError(f"output_dir={output_dir} cannot be written to: name another folder")
    return output_dir


def user_conf_dir() -> Path:
    """The user's own folder of groups, found by every command; AERO_SEARCH_CONFIG names another one.

    What a calibration writes goes here, so that protocol=NAME works at once and in every folder.
    """
    named = os.environ.get("AERO_SEARCH_CONFIG")
    if named:
        return Path(named).expanduser()
    try:
        import platformdirs
    except ImportError:  # a training needs four packages, and this is none of them
        return Path.home() / ".config" / "aero-search"
    return platformdirs.user_config_path("aero-search")


def conf_dir() -> Path:
    """The folder of Hydra groups."""
    return _shipped("conf")


def search_spaces_dir() -> Path:
    """The folder of search spaces."""
    return _shipped("search_spaces")
