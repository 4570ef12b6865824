"""`aero-search studies`: the studies of a folder, listed, shown, renamed, archived and deleted."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from aero_search.config.command import Command
from aero_search.config.paths import output_option, writable
from aero_search.config.request import Request, check_study_name
from aero_search.errors import RequestError, nearest
from aero_search.invocation import retyped, typed

if TYPE_CHECKING:
    from aero_search.search.catalogue import StudyEntry

ACTIONS = ("list", "show", "rename", "archive", "restore", "delete")


@dataclass(frozen=True)
class StudiesOptions:
    """conf/studies.yaml"""

    action: str
    to: str | None
    sure: bool
    all: bool


def run(request: Request) -> None:
    """Do what `action` says and print the studies that it concerns."""
    options = request.options(StudiesOptions)
    if options.action not in ACTIONS:
        raise RequestError(f"action={options.action} is not one: {nearest(options.action, ACTIONS)}")
    if options.to is not None and options.action != "rename":
        raise RequestError(f"to={options.to} is the new name of studies rename: leave it out")
    entries = _done(request, options)
    if request.format == "json":
        json.dump({"action": options.action, "studies": [asdict(e) for e in entries]}, sys.stdout, indent=1)
        print()
        return
    _print(request, options.action, entries)


def _done(request: Request, options: StudiesOptions) -> Sequence[StudyEntry]:
    from aero_search.search import catalogue

    folder, address, name = request.output_dir, request.search.storage, request.study_name
    if options.action == "list":
        return catalogue.list_studies(folder, address, options.all)
    if name is None:
        raise RequestError(f"studies {options.action} needs a name: studies {options.action} NAME")
    if options.action == "show":
        return [catalogue.describe(folder, name, address)]
    writable(folder)
    if options.action == "rename":
        if options.to is None:
            raise RequestError(f"studies rename needs the new name: studies rename {name} NEW")
        check_study_name(options.to, "to")
        return [catalogue.rename_study(folder, name, options.to, address)]
    if options.action in ("archive", "restore"):
        return [catalogue.archive_study(folder, name, address, options.action == "archive")]
    if not options.sure:
        entry = catalogue.describe(folder, name, address)
        raise RequestError(
            f"studies delete {name} would delete {entry.trained} trained candidates "
            f"({entry.bytes / 1e6:.1f} MB in {entry.folder}) for good: add sure=true"
        )
    return [catalogue.delete_study(folder, name, address)]


def _print(request: Request, action: str, entries: Sequence[StudyEntry]) -> None:
    from aero_search.console import make_console
    from aero_search.report.table import sheet

    console = make_console()
    if not entries:
        console.print(f"no study under output_dir={request.output_dir}")
        return
    rows = [
        (
            e.name + (" (archived)" if e.archived else ""),
            e.created.replace("T", " ").rstrip("Z"),
            str(e.trained),
            str(e.training),
            f"{e.bytes / 1e6:.1f}",
        )
        for e in entries
    ]
    title = f"{action}d" if action in ("archive", "delete", "restore", "rename") else ""
    console.print(sheet(("study", "created (UTC)", "trained", "training", "MB"), rows, title))
    if action == "show":
        (entry,) = entries
        console.print(f"made by: {retyped(entry.command)}", soft_wrap=True)
        console.print(f"files:   {entry.folder}", soft_wrap=True)
        where = output_option(request.output_dir)
        console.print(f"front:   {typed(f'front study={entry.name}{where}')}", soft_wrap=True)


COMMAND = Command(
    "studies",
    run,
    positional=("action", "study.name", "to"),
    waits_for="loading Optuna and the studies",
    settings=("action", "study.name", "to", "sure", "all", "format", "output_dir"),
    examples=(
        "studies",
        "studies show aero",
        "studies rename aero first",
        "studies archive first",
        "studies delete first sure=true",
    ),
)
