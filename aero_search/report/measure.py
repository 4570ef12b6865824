"""A measurement for people, from its JSON document: parts beside their estimates, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, TimeElapsedColumn

from aero_search.console import Console, progress_bars
from aero_search.report.costs.tables import PART_LABELS, format_bytes

if TYPE_CHECKING:
    from rich.console import Group

    from aero_search.report.table import Sheet


class MeasureView:
    """Draws a bar of the stages on a terminal, and prints a line a layer elsewhere."""

    def __init__(self, title: str, stages: int, layers: int, console: Console) -> None:
        self._console, self._layers = console, layers
        self._last: tuple[int, int | None] | None = None
        self._bar = progress_bars(
            console,
            "{task.description}",
            BarColumn(),
            MofNCompleteColumn(),
            "{task.fields[note]}",
            TimeElapsedColumn(),
        )
        self._task = self._bar.add_task(title, total=stages, note="set-up")

    def __enter__(self) -> MeasureView:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def done(self, sequence: int, layer: int | None) -> None:
        """A stage of a layer (None: outside the layers) is done."""
        note = f"pass {sequence + 1}" + ("" if layer is None else f", layer {layer + 1} of {self._layers}")
        self._bar.update(self._task, advance=1, note=note)
        if not self._console.is_terminal and (sequence, layer) != self._last:
            self._console.print(note)
        self._last = (sequence, layer)


def parts_table(document: Mapping[str, Any]) -> Sheet:
    """Measured bytes, messages and seconds of one query by part and pass, each beside its estimate.

    MB are 1e6 bytes, both directions together; an error is estimate / reading - 1.
    """
    from aero_search.report.table import sheet

    rows = [(PART_LABELS[part], *_cells(line)) for part, line in document["parts"].items()]
    passes = [(name, *_cells(line)) for name, line in document.get("passes", {}).items()]
    passes = passes if len(passes) > 1 else []
    total, setup = ("total", *_cells(document["total"])), ("set-up, once", *_cells(document["setup"]))
    return sheet(
        ("part", "MB", "estimate", "error", "messages", "seconds", "estimate", "error"),
        [*rows, *passes, total, setup],
        "one query" if passes else "one forward pass",
        parts=(0, 1, 1, 1, 1, 2, 2, 2),
        sections=(len(rows), len(rows) + len(passes)) if passes else (len(rows),),
        styles=(*[None] * (len(rows) + len(passes)), "bold"),
    )


def measure_report(document: Mapping[str, Any]) -> Group:
    """Everything `aero-search measure` prints of one measurement."""
    from rich.console import Group
    from rich.text import Text

    from aero_search.measure.mailbox import THREE_PARTIES

    ran, total, logits = document["ran"], document["total"], document["logits"]
    lowerings = ", ".join(sorted(set(ran["lowerings"].values())))
    folded = "" if ran["notation"] == document["notation"] else f", folded to {ran['notation']}"
    link = document["network"] if document["network_shaped"] else "127.0.0.1, not slowed down"
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    asked = f"{document['tokens']} tokens"
    if generated := document.get("generated"):
        asked += f" and {generated} generated"
    head = (
        f"{document['notation']}{folded}\n"
        f"{asked}, {document['sequences']} sequence(s); weights {ran['weights']}; {lowerings}\n"
        f"under SPU's {ran['spu_protocol']}; link: {link}; {versions}"
    )
    two = ran["spu_protocol"] not in THREE_PARTIES
    said = ("to the client", "to the server") if two else ("sent by the server", "by the two others")
    tail = (
        f"{said[0]} {format_bytes(total['to_client'])}, {said[1]} {format_bytes(total['to_server'])}, "
        f"{total['messages']:,} messages\n"
        f"logits: largest error {_number(logits['largest_error'], 2)} "
        f"(largest logit {_number(logits['largest_logit'], 3)}); "
        f"same next token at {logits['same_next_token']:.1%} of {logits['positions']} positions\n"
        f"estimate: protocol {document['protocol']}, network {document['network']}"
    )
    return Group(Text(head), parts_table(document), Text(tail))


def _cells(line: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"{line['bytes'] / 1e6:,.2f}",
        f"{line['estimated_bytes'] / 1e6:,.2f}",
        _percent(line["bytes_error"]),
        f"{line['messages']:,}",
        f"{line['seconds']:,.2f}",
        f"{line['estimated_seconds']:,.2f}",
        _percent(line["seconds_error"], 0),
    )


def _number(value: float | None, digits: int) -> str:
    return "not a number" if value is None else f"{value:.{digits}g}"


def _percent(error: float | None, digits: int = 1) -> str:
    return "" if error is None else f"{error:+.{digits if abs(error) < 1 else 0}%}"
