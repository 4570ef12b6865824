"""What `aero-search train` shows where `rich` is not installed: the same facts as plain lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from aero_search.invocation import typed
from aero_search.printing import print_line
from aero_search.quantity import perplexity_text
from aero_search.report.units import readable
from aero_search.training.result import CurvePoint, Result
from aero_search.waiting import doing


class Console:
    """As much of rich's as the training needs; layout is ignored."""

    def print(self, text: str, **layout: object) -> None:
        """One line on stdout."""
        print_line(text)


def make_console() -> Console:
    """As `aero_search.console` makes one of rich's."""
    return Console()


class TrainingView:
    """A listener that prints a line a validation."""

    def __init__(self, title: str, steps: int, console: Console) -> None:
        self._title, self._steps, self._console = title, steps, console

    def __enter__(self) -> TrainingView:
        self._console.print(self._title)
        doing(f"training {self._title}, {self._steps:,} steps")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def step(self, step: int, loss: float) -> None: ...

    def validated(self, point: CurvePoint, entropy: list[list[float]]) -> None:
        self._console.print(validation_line(point, self._steps))


def validation_line(point: CurvePoint, steps: int) -> str:
    """One validation of a training of `steps`."""
    return f"step {point.step:,} of {steps:,}: perplexity {perplexity_text(point.perplexity)}"


def result_rows(result: Result, costs: Mapping[str, float], priced_at: str = "") -> Iterator[tuple[str, str]]:
    """A trained candidate as names and values.

    Args:
        priced_at: the model that the costs belong to; empty where it is the trained one.
    """
    yield "perplexity (held out)", "none" if result.perplexity is None else perplexity_text(result.perplexity)
    if result.accuracy is not None:
        yield "accuracy (next token)", f"{result.accuracy:.1%}"
    if result.bits_per_byte is not None:
        yield "bits per byte", f"{result.bits_per_byte:.3f}"
    yield "verdict", f"{result.verdict}{': ' + result.reason if result.reason else ''}"
    if (health := result.health) is not None:
        quarters = " / ".join(f"{share:.0%}" for share in health.quarters)
        yield "attention", f"{health.verdict}{': ' + health.reason if health.reason else ''}"
        yield "heads by quarter of entropy", f"{quarters} of {health.largest:.2f} nats, lowest first"
    if (norms := result.norms) is not None:
        said = norms.reason or f"batches at most {norms.largest:.2g} running deviations away"
        yield "running statistics of norms", f"{norms.verdict}: {said}"
    yield "parameters", f"{result.parameters:,}"
    yield "tokens, seconds", f"{result.tokens:,}, {result.seconds:.0f}"
    if priced_at:
        yield "costs of", f"{priced_at}; the perplexity is the proxy's"
    yield "PI latency", readable("latency_s", costs["latency_s"])
    yield "PI communication", readable("communication_bytes", costs["communication_bytes"])
    yield "FLOPs", readable("flops", costs["flops"])


def closing_lines(folder: Path) -> Iterator[str]:
    """Where the files lie and how to repeat the training."""
    yield f"files: {folder}"
    yield f"train it again: {typed(f'train --config-dir {folder} --config-name candidate')}"


def print_result(
    result: Result, costs: Mapping[str, float], folder: Path, console: Console, priced_at: str = ""
) -> None:
    """One candidate's perplexity, costs and where its files lie."""
    for name, value in result_rows(result, costs, priced_at):
        console.print(f"{name:<28} {value}")
    for line in closing_lines(folder):
        console.print(line)
