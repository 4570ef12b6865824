"""Searches architectures: candidates, samplers, rungs, studies and the loop of a worker.

Perplexity is the one thing a trial has to train for; every other objective is known before it starts.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """Makes `aero_search.search(...)` the function of the Python API, although the package has its name.

    Importing a subpackage sets it as an attribute of its parent, in place of anything else of that name.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run a search: `aero_search.api.studies.search`, with its arguments."""
        return _function()(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(_function())


def _function() -> Any:
    # By name: imports point the other way.
    return importlib.import_module("aero_search.api.studies").search


sys.modules[__name__].__class__ = _CallablePackage
