"""`aero-search measure`: real two-party private inference of one network, beside its estimate."""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aero_search.app.measure_target import MeasureTarget, find_target
from aero_search.architecture import key
from aero_search.config.command import Command
from aero_search.config.paths import writable
from aero_search.config.request import Request
from aero_search.errors import RequestError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aero_search.measure.measurement import Measurement
    from aero_search.measure.run import Plan
    from aero_search.model import Decoder

LOOPBACK = "loopback"
DOCUMENT_FILE = "measurement.json"


@dataclass(frozen=True)
class MeasureSettings:
    """conf/measure.yaml: measure"""

    python: str | None
    sequences: int
    text: Literal["corpus", "random"]
    force: bool


@dataclass(frozen=True)
class MeasureOptions:
    """conf/measure.yaml"""

    bundle: str | None
    pick: str | None
    measure: MeasureSettings


def run(request: Request) -> None:
    """Find the network, check what it would take, run it, write and print what was read."""
    options = request.options(MeasureOptions)
    network = request.network
    subject = find_target(request, options.bundle, options.pick)
    protocol = subject.protocol(request)
    # torch takes seconds to import: only once the request is known to make sense.
    from aero_search.measure.environment import find_environment
    from aero_search.measure.run import check_length, plan

    python = find_environment(options.measure.python).python
    model = subject.model(request.recipe.seed)
    shaped = network.name != LOOPBACK
    planned = plan(model, protocol, network, options.measure.sequences, shaped, request.workload)
    if not options.measure.force:
        check_length(planned)
    tokens_nt = _tokens(subject, options.measure)[:, : request.workload.prompt]
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = writable(request.output_dir.resolve()) / "measure" / f"{key(subject.architecture)}-{stamp}"
    measured = _measure(subject, model, tokens_nt, planned, folder, str(python))
    document = {"label": subject.label, **measured.document()}
    path = folder / DOCUMENT_FILE
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    _track(request, subject, measured, path)
    _print(request, document, path)


def _tokens(subject: MeasureTarget, settings: MeasureSettings) -> NDArray[np.int64]:
    """The client's sequences, shape (sequences, T): held-out text, or random tokens."""
    import numpy as np

    length, vocabulary = subject.architecture.seq_len, subject.architecture.vocab_size
    if subject.corpus is None or settings.text == "random":
        return np.random.default_rng(0).integers(0, vocabulary, (settings.sequences, length))
    from aero_search.data import prepare
    from aero_search.data.windows import held_out_windows

    windows_ns = held_out_windows(prepare(subject.corpus, vocabulary), length, settings.sequences)
    if len(windows_ns) < settings.sequences:
        raise RequestError(
            f"measure.sequences={settings.sequences} is more than the {len(windows_ns)} that the held-out text has"
        )
    return windows_ns[:, :-1]


def _measure(
    subject: MeasureTarget,
    model: Decoder,
    tokens_nt: NDArray[np.int64],
    planned: Plan,
    folder: Path,
    python: str,
) -> Measurement:
    from aero_search.console import make_console
    from aero_search.measure.run import measure
    from aero_search.report.measure import MeasureView

    count = planned.sequences * len(planned.stages)
    # The parties' folders hold weights and tokens: they go once all is read, and stay where something broke.
    parties = folder / "parties"
    console = make_console(stderr=True)
    with MeasureView(subject.label, count, subject.architecture.n_layer, console) as view:
        measured = measure(
            model,
            tokens_nt,
            planned,
            parties,
            python=python,
            on_stage=lambda sequence, stage: view.done(sequence, stage.layer),
        )
    shutil.rmtree(parties)
    return measured


def _track(request: Request, subject: MeasureTarget, measured: Measurement, path: Path) -> None:
    from aero_search.tracking.opening import open_tracker

    tracker = open_tracker(request.tracking, request.output_dir.resolve())
    tracker.initialize()
    tracker.record(
        subject.parent_run or None,
        f"measured {subject.label}",
        "measurement",
        params={
            "protocol": measured.protocol.name,
            "network": measured.network.name,
            "network_shaped": measured.shaped,
            "weights": measured.forward.weights,
            **{f"versions.{name}": version for name, version in measured.versions.items()},
        },
        metrics=measured.metrics(),
        artifacts=[path],
    )


def _print(request: Request, document: dict[str, Any], path: Path) -> None:
    if request.format == "json":
        json.dump(document, sys.stdout, indent=1, allow_nan=False)
        print()
        return
    from aero_search.console import make_console
    from aero_search.report.measure import measure_report

    console = make_console()
    console.print(measure_report(document))
    console.print(f"written to {path}", soft_wrap=True)


COMMAND = Command(
    "measure",
    run,
    waits_for="loading PyTorch and starting the parties",
    settings=(
        "bundle",
        "study.name",
        "pick",
        "variant",
        "model.seq_len",
        "protocol",
        "network",
        "workload",
        "measure.python",
        "measure.sequences",
        "measure.text",
        "measure.force",
    ),
    examples=(
        "measure variant=sm_scfuffn model.seq_len=32",
        "measure study=aero pick=knee",
        "measure study=aero pick=knee workload=chat workload.prompt=16 workload.generate=4",
    ),
)
