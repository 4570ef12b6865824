"""The folders of groups and spaces, the shipped ones and the user's own, and where results go."""

from __future__ import annotations

import os
from pathlib import Path

from aero_search.errors import RequestError
from aero_search.integrity import tell_if_open_to_all
from aero_search.invocation import output_option as output_option
from aero_search.report.diagnostics import can_write
from aero_search.shipped import shipped
from aero_search.user_path import user_path


def writable(output_dir: Path, setting: str = "output_dir") -> Path:
    """The folder that results go to, if it can be written to or created; nothing is created yet.

    One that every user of the machine may write into is warned of.

    Args:
        setting: what names another one.

    Raises:
        RequestError: it cannot.
    """
    if not can_write(output_dir):
        raise RequestError(f"{setting}={output_dir} cannot be written to: name another folder")
    tell_if_open_to_all(output_dir, setting)
    return output_dir


def user_conf_dir() -> Path:
    """The user's own folder of groups, found by every command; AERO_SEARCH_CONFIG names another one.

    What a calibration writes goes here, so that protocol=NAME works at once and in every folder.
    """
    named = os.environ.get("AERO_SEARCH_CONFIG")
    if named:
        return user_path(named)
    try:
        import platformdirs
    except ImportError:  # a training needs four packages, and this is none of them
        return user_path("~") / ".config" / "aero-search"
    return platformdirs.user_config_path("aero-search")


def conf_dir() -> Path:
    """The folder of Hydra groups."""
    return shipped("conf")


def search_spaces_dir() -> Path:
    """The folder of search spaces."""
    return shipped("search_spaces")
