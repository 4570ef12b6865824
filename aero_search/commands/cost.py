"""`aero-search cost`: what an architecture costs under private inference, without training it."""

from __future__ import annotations

from typing import Any

from aero_search.config.command import Command
from aero_search.config.request import Request


def run(request: Request) -> dict[str, Any]:
    """Price the request's architecture; print it unless it is one of a sweep."""
    from aero_search.cost.document import cost_document

    return cost_document(request.architecture, request.protocol, request.network)


COMMAND = Command("cost", run, sweep="basic")
