"""`aero-search report`: a study as one HTML page that works offline."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aero_search.app.saved_study import SavedStudy, open_saved_study
from aero_search.config.command import Command
from aero_search.config.paths import output_option, writable
from aero_search.config.request import Request
from aero_search.errors import RequestError
from aero_search.front.document import front_document
from aero_search.passwords import masked
from aero_search.printing import print_line
from aero_search.version import __version__

if TYPE_CHECKING:
    from aero_search.architecture import Architecture, ModelShape
    from aero_search.report.page.document import PageSource


@dataclass(frozen=True)
class ReportOptions:
    """conf/report.yaml"""

    to: str | None


def run(request: Request) -> None:
    """Write the page; with format=json print its data instead."""
    from aero_search.report.page.document import page_document

    options = request.options(ReportOptions)
    past = open_saved_study(request)
    document = page_document(_source(request, past))
    if request.format == "json":
        if options.to is not None:
            raise RequestError(
                f"format=json prints the page's data and writes no file: leave to={options.to} out"
            )
        json.dump(document, sys.stdout, indent=1, allow_nan=False)
        print()
        return
    from aero_search.report.page.render import render_page
    from aero_search.report.picture import whole

    path = Path(options.to) if options.to else past.study.folder / "report.html"
    if path.is_dir():
        raise RequestError(f"to={path} is a folder: name a file in it, such as {path / 'report.html'}")
    writable(path.resolve().parent, "to").mkdir(parents=True, exist_ok=True)
    html = render_page(document)
    whole(path, lambda partial: partial.write_text(html, encoding="utf-8"))
    _track(request, past, path)
    print_line(
        f"written to {path} ({path.stat().st_size / 1e6:.1f} MB): open it in a browser, no network is needed"
    )


def _source(request: Request, past: SavedStudy) -> PageSource:
    from aero_search.config.config_options import offered_networks, offered_protocols, offered_shapes
    from aero_search.report.page.document import PageSource
    from aero_search.search.importance import importances
    from aero_search.search.timeline import timeline

    records = past.records
    base = past.told_front.reference.baseline
    where = output_option(request.output_dir)
    study = f"study={shlex.quote(past.name)}"
    return PageSource(
        name=past.name,
        front=past.front,
        front_document=past.document(),
        records=records,
        pricing=past.pricing,
        protocols={**offered_protocols(), past.protocol.name: past.protocol},
        networks={**offered_networks(), past.network.name: past.network},
        shapes=[] if base is None else [s for s in offered_shapes(base) if not _same_size(s, base)],
        moments=timeline(past.study.study),
        importances=importances(past.study.study),
        settings=past.attrs["settings"],
        commands={
            "repeat or resume": masked(str(past.attrs["command"])),
            "export": f"aero-search export {study} pick=trial:N{where}",
            "front": f"aero-search front {study}{where}",
            "this page": f"aero-search report {study}{where}",
        },
        created=float(past.attrs["created"]),
        folder=past.study.folder,
        version=__version__,
    )


def _same_size(shape: ModelShape, a: Architecture) -> bool:
    """Whether a shape is the one that was trained: what-if offers that first, and once."""
    trained = (a.n_layer, a.n_head, a.kv_heads, a.d_model, a.seq_len, a.vocab_size)
    kv_heads = shape.n_kv_head or shape.n_head
    return trained == (
        shape.n_layer, shape.n_head, kv_heads, shape.d_model, shape.seq_len, shape.vocab_size
    )  # fmt: skip


def _track(request: Request, past: SavedStudy, path: Path) -> None:
    """Put the page beside the study's run, where it has one."""
    run_id = past.attrs.get("run")
    if not run_id:
        return
    from aero_search.report.front import front_rows
    from aero_search.tracking.opening import open_tracker

    front = past.told_front
    tracker = open_tracker(request.tracking, request.output_dir)
    tracker.update_study(
        run_id,
        metrics={},
        step=len(past.told),
        front_document=front_document(front),
        front_rows=front_rows(front),
        pictures=[path],
    )


COMMAND = Command(
    "report",
    run,
    waits_for="loading the study and drawing its page",
    settings=(
        "study.name",
        "to",
        "network",
        "protocol",
        "objective.target",
        "output_dir",
    ),
    examples=(
        "report study=aero",
        "report study=aero network=wan to=wan.html",
    ),
)
