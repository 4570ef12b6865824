"""`aero-search repair`: makes a damaged database of studies again, from what their folders keep."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from aero_search.config.command import Command
from aero_search.config.paths import output_option, writable
from aero_search.config.request import Request
from aero_search.errors import AeroSearchError
from aero_search.invocation import typed

if TYPE_CHECKING:
    from aero_search.app.repair import Repair, Restored


def run(request: Request) -> None:
    """Repair the database and say what became of each study; a study that could not be put back is a failure."""
    from aero_search.app.repair import repair

    done = repair(writable(request.output_dir), request.search.storage)
    if request.format == "json":
        json.dump(asdict(done), sys.stdout, indent=1, default=str)
        print()
    else:
        _print(request, done)
    if done.left:
        raise AeroSearchError(f"not put back: {', '.join(name for name, _ in done.left)}")


def _print(request: Request, done: Repair) -> None:
    from aero_search.console import make_console

    console = make_console()
    if not done.found:
        console.print("nothing to repair: the database says of every study what its files say")
    for sentence in done.found:
        console.print(sentence, soft_wrap=True)
    for study in done.studies:
        console.print(_said(study), soft_wrap=True)
    for name, why in done.left:
        console.print(
            f"study {name} could not be put back: {why}. The same search under the same study.name takes the "
            "results over that its candidates' folders hold",
            soft_wrap=True,
        )
    if done.kept is not None:
        console.print(f"the damaged database is kept as {done.kept}", soft_wrap=True)
    if done.studies:
        front = typed(f"front study={done.studies[-1].name}{output_option(request.output_dir)}")
        console.print(f"look: {front}", soft_wrap=True)


def _said(study: Restored) -> str:
    waiting = f", {study.waiting} wait for their training" if study.waiting else ""
    gaps = ""
    if study.gaps:
        some = ", ".join(map(str, study.gaps[:10])) + (", ..." if len(study.gaps) > 10 else "")
        gaps = f"; without a file, so counted as failed: {some}"
    return f"study {study.name}: {study.results} results{waiting}, from {study.source}{gaps}"


COMMAND = Command(
    "repair",
    run,
    waits_for="reading the database and the studies' folders",
    settings=("output_dir", "format"),
    examples=("repair", "repair output_dir=runs"),
)
