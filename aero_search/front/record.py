"""One candidate of a study as everyone else sees it: architecture, perplexity, costs, verdict."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from aero_search.architecture import Architecture
from aero_search.front.quality import QUALITIES

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
        accuracy, bits_per_byte: likewise, their means; None too where they were not measured.
        lowerings: that it takes at these costs where there is a choice, by entry of `protocol.use`.
        loss: what is compared, better lower: of the study's quality, see `QualityScale`; None is the perplexity.
        costs: every known metric: latency_s, communication_bytes, flops, rounds, usd.
        overrides: the Hydra overrides that make this candidate from the study's request.
        lr: peak learning rate of its recipe.
        seed: of its weights.
        seconds: wall time of its training; None while running.
        folder: holds config, result and weights.
        steps: of its whole training; 0 in studies of earlier versions.
        curve: (step, loss) of the validations; of a running one those that are reported.
        replicates: (seed, loss) of every seed it was trained with, its own first, None where one diverged;
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
    accuracy: float | None = None
    bits_per_byte: float | None = None
    loss: float | None = None
    lowerings: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name shown in tables: notation and trial number."""
        return f"{self.notation}  #{self.number}"

    @property
    def seeds(self) -> int:
        """How many trainings its perplexity stands for, diverged ones included."""
        return len(self.replicates) or 1

    @property
    def compared(self) -> float | None:
        """The loss, None where the candidate has no perplexity."""
        return self.perplexity if self.loss is None else self.loss

    def metric(self, name: str) -> float | None:
        """A metric by name; a quality may be None."""
        if name in QUALITIES:
            value: float | None = getattr(self, name)
            return value
        return self.costs[name]


def averaged(trainings: Sequence[Record]) -> Record:
    """Trainings that differ in their seed as one record, the first with the means of the qualities of all.

    Perplexity and loss are geometric means, accuracy and bits per byte arithmetic ones, each over the seeds that
    have it; the first is the first with a perplexity. One at least has one.
    """
    trainings = _distinct(trainings)
    first = next(one for one in trainings if one.compared is not None)
    pairs = [p for one in trainings for p in one.replicates or ((one.seed, one.compared),)]

    def mean(name: str, geometric: bool) -> float | None:
        told = [(getattr(one, name), _counted(one)) for one in trainings]
        known = [(value, weight) for value, weight in told if value is not None]
        if not known:
            return None
        values = [math.log(value) if geometric else value for value, _ in known]
        middle = statistics.fmean(values, [weight for _, weight in known])
        return math.exp(middle) if geometric else middle

    return replace(
        first,
        replicates=tuple(pairs),
        perplexity=mean("perplexity", geometric=True),
        loss=mean("loss", geometric=True),
        accuracy=mean("accuracy", geometric=False),
        bits_per_byte=mean("bits_per_byte", geometric=False),
    )


def _distinct(trainings: Sequence[Record]) -> list[Record]:
    """Without those that are another one to the last bit.

    Studies from a checkpoint have such, made before a seed decided the order of batches there: they say nothing of
    what a seed does.
    """
    found: list[Record] = []
    for one in trainings:
        if not any(
            one.curve and one.curve == other.curve and one.compared == other.compared for other in found
        ):
            found.append(one)
    return found


def _counted(record: Record) -> int:
    """How many trainings a record's qualities are the means of."""
    return sum(value is not None for _, value in record.replicates) or 1
