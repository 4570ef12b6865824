"""`aero-search ui`: the MLflow dashboard on 127.0.0.1, until Ctrl-C."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from aero_search.config.command import Command
from aero_search.config.request import Request
from aero_search.errors import AeroSearchError
from aero_search.printing import print_line
from aero_search.waiting import doing


@dataclass(frozen=True)
class UiOptions:
    """conf/ui.yaml"""

    port: int


def run(request: Request) -> None:
    """Open the dashboard and wait."""
    from aero_search.tracking.dashboard import dashboard, stop, url

    options = request.options(UiOptions)
    # A terminal that closes or a supervisor that stops the command takes the server with it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    server = dashboard(request.tracking, request.output_dir, options.port)
    try:
        for line in _links(request, url(options.port)):
            print_line(line)
        print_line(f"MLflow: {url(options.port)}  (Ctrl-C stops it)")
        doing(None)
        code = server.wait()
    except KeyboardInterrupt:
        print_line("stopping MLflow ...")
        return
    finally:
        stop(server)
    raise AeroSearchError(f"the dashboard ended by itself, exit code {code}")


def _links(request: Request, base: str) -> list[str]:
    """Where each study's table and charts are, in the words of MLflow's own pages."""
    from aero_search.tracking import store
    from aero_search.tracking.views import links, studies_of

    found = store.client(request.tracking, request.output_dir).get_experiment_by_name(
        request.tracking.experiment
    )
    if found is None:
        return []
    return [
        f"study {study}, {what}: {link}"
        for study in studies_of(found.tags)
        for what, link in links(base, found.experiment_id, study).items()
    ]


COMMAND = Command(
    "ui",
    run,
    waits_for="loading MLflow and waiting for its server, up to half a minute",
    settings=(
        "port",
        "output_dir",
        "tracking.uri",
    ),
    examples=("ui port=5001",),
)
