"""What an export needs beyond the package's own dependencies."""

from __future__ import annotations

from importlib import import_module

from aero_search.errors import RequestError
from aero_search.invocation import install


def require(kind: str, *packages: str) -> None:
    """Say before any work what is missing for a kind, whose extra has the same name.

    Importing is the only sure test: an installed package may lack one that it needs itself.

    Raises:
        RequestError: a package cannot be imported.
    """
    for package in packages:
        try:
            import_module(package)
        except ImportError as problem:
            missing = problem.name or package
            raise RequestError(f"an export for {kind} needs {missing}: {install(kind)}") from None
