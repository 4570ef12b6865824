"""One candidate of a study as everyone else sees it: architecture, perplexity, costs, verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aero_search.architecture import Architecture

State = Literal["running", "finished", "plateau", "diverged"]


@dataclass(frozen=True)
class Record:
    """A candidate that is trained or in training.

    Attributes:
        number: of the Optuna trial, the name people use (`trial:7`).
        candidate: identity of architecture, recipe, seeds and corpus; equal identities train once.
        notation: the architecture in the paper's notation.
        state: `running`, or the verdict of the finished training.
        reason: the verdict in words; empty where all went well.
        perplexity: on the held-out split; None while running and when diverged.
        costs: every known metric: latency_s, communication_bytes, flops, rounds.
        overrides: the Hydra overrides that make this candidate from the study's request.
        lr: peak learning rate of its recipe.
        seed: of its weights.
        seconds: wall time of its training; None while running.
        folder: holds config, result and weights.
    """

    number: int
    candidate: str
    architecture: Architecture
    notation: str
    state: State
    reason: str
    perplexity: float | None
    costs: Mapping[str, float]
    overrides: tuple[str, ...]
    lr: float
    seed: int
    seconds: float | None
    folder: Path

    @property
    def label(self) -> str:
        """The name shown in tables: notation and trial number."""
        return f"{self.notation}  #{self.number}"

    def metric(self, name: str) -> float | None:
        """A metric by name; perplexity may be None."""
        return self.perplexity if name == "perplexity" else self.costs[name]
