"""What a result depends on besides its request: library versions, Python, the code's own version."""

from __future__ import annotations

import platform
from importlib import metadata

import aero_search

_LIBRARIES = ("torch", "lightning", "numpy", "optuna", "mlflow", "hydra-core")


def versions() -> dict[str, str]:
    """Name to version of everything a result may depend on; libraries that are absent are left out."""
    found = {"aero-search": aero_search.__version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
