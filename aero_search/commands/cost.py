"""`aero-search cost`: what an architecture costs under private inference, without training it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from aero_search.config.command import Command
from aero_search.config.request import Request
from aero_search.cost.document import cost_document


def run(request: Request) -> Request:
    """Everything is priced when all requests of a sweep are known; only check here that it can be."""
    _ = request.architecture, request.protocol, request.network
    return request


def finish(requests: Sequence[Request]) -> None:
    """Print the costs of one request, or of a sweep beside each other."""
    documents = [cost_document(r.architecture, r.protocol, r.network) for r in requests]
    if requests[0].format == "json":
        json.dump(documents[0] if len(documents) == 1 else documents, sys.stdout, indent=1, allow_nan=False)
        print()
        return


COMMAND = Command("cost", run, sweep="basic", finish=finish)
