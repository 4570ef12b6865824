"""What a result depends on besides its request: library versions, Python, the code's own version."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

from aero_search.version import __version__

_LIBRARIES = ("torch", "lightning", "numpy", "optuna", "mlflow", "hydra-core")


def versions() -> dict[str, str]:
    """Name to version of everything a result may depend on; libraries that are absent are left out."""
    found = {"aero-search": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    if commit := _git_commit():
        found["git"] = commit
    return found


def _git_commit() -> str | None:
    """The checkout that the code runs from, marked where it has changes; None for an installed wheel."""
    folder = Path(__file__).parents[1]
    if not (folder.parent / ".git").exists():
        return None
    try:
        git = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run(git, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
