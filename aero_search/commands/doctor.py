"""`aero-search doctor`: checks versions, stores, devices and optional parts, and suggests fixes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from aero_search.config.command import Command
from aero_search.config.request import Request
from aero_search.errors import AeroSearchError
from aero_search.invocation import output_option, typed

if TYPE_CHECKING:
    from aero_search.report.diagnostics import Check


def run(request: Request) -> None:
    """Check everything and print it; the work has failed if something essential has."""
    from aero_search.report.diagnostics import diagnose

    checks = [
        *diagnose(request.output_dir, request.data.cache_folder()),
        *_studies(request.output_dir),
    ]
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


def _studies(output_dir: Path) -> Iterator[Check]:
    """Whether the database says of every study what the study's own files say."""
    from aero_search.app.repair import diagnose_studies
    from aero_search.report.diagnostics import Check

    try:
        diagnosis = diagnose_studies(output_dir)
    except AeroSearchError as problem:  # locked, or not ours to read
        yield Check("studies", False, str(problem), "see there")
        return
    found = "; ".join(diagnosis.sentences()) or f"{len(diagnosis.studies)}, as their files say"
    mend = typed(f"repair{output_option(output_dir)}")
    yield Check("studies", diagnosis.sound, found, mend, essential=True)


COMMAND = Command(
    "doctor",
    run,
    waits_for="trying every part of the installation",
    settings=(
        "output_dir",
        "format",
    ),
    examples=(
        "doctor",
        "doctor format=json",
    ),
)
