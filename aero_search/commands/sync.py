"""`aero-search sync`: uploads runs logged while a tracking server was unreachable, exactly once."""

from __future__ import annotations

from aero_search.config.command import Command
from aero_search.config.request import Request
from aero_search.errors import RequestError


def run(request: Request) -> None:
    """Send every journal under the output folder."""
    from rich.progress import BarColumn, MofNCompleteColumn

    from aero_search.console import make_console, progress_bars
    from aero_search.tracking.sync import send, waiting

    if request.tracking.kind == "none":
        raise RequestError("tracking=none has no store to send to; say tracking=mlflow")
    console = make_console()
    output_dir = request.output_dir.resolve()
    found = waiting(output_dir, request.tracking, request.chosen("tracking"))
    if not found:
        console.print("all runs uploaded")
    for journal, spec in found:
        columns = ("{task.description}", BarColumn(), MofNCompleteColumn())
        with progress_bars(console, *columns, transient=True) as progress:
            task = progress.add_task("sending", total=journal.count())
            # `send` returns before the next bar begins, so the loop's variables are still this journal's.
            said = send(journal, spec, output_dir, lambda: progress.advance(task))  # noqa: B023
        console.print(said, soft_wrap=True)


COMMAND = Command(
    "sync",
    run,
    waits_for="loading MLflow and looking for runs to send",
    settings=(
        "tracking.uri",
        "output_dir",
    ),
    examples=("sync",),
)
