"""`aero-search export`: one architecture of a study, as a bundle or in another library's form."""

from __future__ import annotations

import json
import sys

from aero_search.api.exporting import export_request
from aero_search.config.command import Command
from aero_search.config.request import Request
from aero_search.printing import print_line


def run(request: Request) -> None:
    """Pick a point, write what was asked for, and say so in lines or as one document."""
    as_json = request.format == "json"
    document = export_request(request, None if as_json else print_line)
    if as_json:
        json.dump(document, sys.stdout, indent=1, allow_nan=False)
        print()


# `format` says text or json everywhere; here people also write it for the kind of export.
COMMAND = Command(
    "export",
    run,
    spellings={r"^format=(?!text$|json$)": "kind="},
    waits_for="loading PyTorch, Optuna and the study",
    settings=(
        "study.name",
        "pick",
        "kind",
        "to",
        "budget.latency_s",
        "budget.communication_bytes",
        "budget.flops",
        "budget.perplexity",
        "model",
        "register",
        "register_as",
        "format",
    ),
    examples=(
        "export study=aero pick=knee",
        "export study=aero budget.latency_s='10 s' format=hf",
        "export study=aero pick=trial:7 format=onnx",
    ),
)
