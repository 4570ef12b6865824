"""`aero-search doctor`: checks versions, stores, devices and optional parts, and suggests fixes."""

from __future__ import annotations

import json
import sys

from aero_search.config.command import Command
from aero_search.config.request import Request
from aero_search.errors import AeroSearchError


def run(request: Request) -> None:
    """Check everything and print it; the work has failed if something essential has."""
    from aero_search.report.diagnostics import diagnose

    checks = diagnose(request.output_dir, request.data.cache_folder())
    if request.format == "json":
        document = {
            "ok": all(check.ok or not check.essential for check in checks),
            "checks": [check.__dict__ for check in checks],
        }
        json.dump(document, sys.stdout, indent=1)
        print()
    else:
        from aero_search.console import make_console
        from aero_search.report.doctor import diagnostics_table

        make_console().print(diagnostics_table(checks))
    broken = [check.name for check in checks if check.essential and not check.ok]
    if broken:
        raise AeroSearchError(f"essential parts do not work: {', '.join(broken)}")


COMMAND = Command(
    "doctor",
    run,
    settings=(
        "output_dir",
        "format",
    ),
    examples=(
        "doctor",
        "doctor format=json",
    ),
)
