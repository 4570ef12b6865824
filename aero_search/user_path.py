"""The path that a user names, with `~` for a home; what trains imports this, and no YAML."""

from __future__ import annotations

import os
from pathlib import Path


def user_path(path: str | Path) -> Path:
    """The path that a user names: `~` and `~USER` are homes, or as they stand where there is no such user."""
    # pathlib raises a RuntimeError where there is no such user.
    return Path(os.path.expanduser(path))  # noqa: PTH111
