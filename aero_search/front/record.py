"""One candidate of a study as everyone else sees it: architecture, perplexity, costs, verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aero_search.architecture import Architecture

State = Literal["running", "finished", "plateau", "stopped", "diverged"]


@dataclass(frozen=True)
class Record:
    """A candidate that is trained or in training.

    Attributes:
        number: of the Optuna trial, the name people use (`trial:7`).
        candidate: identity of architecture, recipe, seeds and corpus; equal identities train once.
        notation: the architecture in the paper's notation.
        state: `running`, or the verdict of the finished training.
        reason: the verdict in words; empty where all went well.
        perplexity: on the held-out split after the last step, where the candidate was trained with several seeds
            their geometric mean; None while running, when stopped at a rung and when diverged.
        costs: every known metric: latency_s, communication_bytes, flops, rounds.
        overrides: the Hydra overrides that make this candidate from the study's request.
        lr: peak learning rate of its recipe.
        seed: of its weights.
        seconds: wall time of its training; None while running.
        folder: holds config, result and weights.
        steps: of its whole training; 0 in studies of earlier versions.
        curve: (step, perplexity) of the validations; of a running one those that are reported.
        replicates: (seed, perplexity) of every seed it was trained with, its own first, None where one diverged;
            empty where there is only its own.
        network: equal for candidates that differ in training settings alone; empty: that of the architecture.
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
    steps: int = 0
    curve: tuple[tuple[int, float], ...] = ()
    replicates: tuple[tuple[int, float | None], ...] = ()
    network: str = ""

    @property
    def label(self) -> str:
        """The name shown in tables: notation and trial number."""
        return f"{self.notation}  #{self.number}"

    @property
    def seeds(self) -> int:
        """How many trainings its perplexity stands for, diverged ones included."""
        return len(self.replicates) or 1

    def metric(self, name: str) -> float | None:
        """A metric by name; perplexity may be None."""
        return self.perplexity if name == "perplexity" else self.costs[name]
