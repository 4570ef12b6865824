"""What a running candidate tells others: a small file rewritten every second or so, and callbacks' contract."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aero_search.schema import SchemaError, from_mapping, to_mapping
from aero_search.training.result import CurvePoint

PROGRESS_FILE = "progress.json"


@dataclass(frozen=True)
class Progress:
    """How far a candidate is; `loss` is the last training loss, nats a token."""

    notation: str
    step: int
    steps: int
    loss: float | None
    perplexity: float | None


# Asked after each validation but the last, and again where a training goes on at one; says why it is to stop there,
# nothing to go on.
Halt = Callable[[CurvePoint], str]


class Listener(Protocol):
    """Hears about a candidate while it trains; where that goes on after a stop, earlier validations come again."""

    def step(self, step: int, loss: float) -> None:
        """After each optimizer step, counted from 1."""

    def validated(self, point: CurvePoint, entropy: list[list[float]]) -> None:
        """After each validation; entropy in nats, n_layer x n_head."""


class ProgressFile:
    """Writes `progress.json` at most once in `every` seconds."""

    def __init__(self, folder: Path, notation: str, steps: int, every: float = 1.0) -> None:
        self.path = folder / PROGRESS_FILE
        self._notation, self._steps, self._every = notation, steps, every
        self._perplexity: float | None = None
        self._written = 0.0

    def step(self, step: int, loss: float) -> None:
        now = time.monotonic()
        if now - self._written >= self._every or step == self._steps:
            self._written = now
            finite = loss if loss == loss and abs(loss) != float("inf") else None
            self._write(Progress(self._notation, step, self._steps, finite, self._perplexity))

    def validated(self, point: CurvePoint, entropy: list[list[float]]) -> None:
        self._perplexity = point.perplexity

    def _write(self, progress: Progress) -> None:
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(to_mapping(progress)))
        partial.replace(self.path)


def read_progress(folder: Path) -> Progress | None:
    """The last progress written in a candidate's folder, None where there is none yet."""
    try:
        return from_mapping(Progress, json.loads((folder / PROGRESS_FILE).read_text()))
    except (OSError, ValueError, SchemaError):
        return None
