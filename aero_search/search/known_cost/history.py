"""What a study's trials teach, and which of them a model is fitted on when there are thousands.

The rule: at most 256 finished trials, in this order until full: the front; its near rivals (smallest gap to the
front at their own cost), up to half of the whole; the most recent, a quarter; the rest at random. Of those that did
not finish, at most 128: half the most recent, half at random; of those that a rung stopped as many, by the same
rule. The front itself is always that of every trial.

A stopped trial teaches the perplexity that is foreseen for its end: its last one less what the finished trials, in
the mean of their logarithms, still gained after that rung. It is on no front, and teaches nothing while no trial
with that rung has finished.

Shapes: n trials, m metrics (perplexity first).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from optuna.trial import FrozenTrial, TrialState

from aero_search.front.pareto import nondominated
from aero_search.search.known_cost.domain import Domain, Point
from aero_search.search.learning_curves import candidates, learning_curve, learning_curves
from aero_search.search.rungs.margins import Margins

Array = npt.NDArray[np.float64]

MOST_FINISHED = 256
MOST_FAILED = 128
# No finite perplexity, or no better than counting tokens: either way the network was not trained.
_UNTRAINED = ("diverged", "plateau")


@dataclass(frozen=True)
class History:
    """A study's trials, sorted by what they teach; trials told as duplicates of others are left out.

    Attributes:
        finished: trained to the end, with `rows` of (perplexity, cost, ...).
        failed: diverged or left on the plateau; what they are is known, what they would reach is not.
        pending: in training now.
        stopped: at a rung, with a foreseen perplexity.
        foreseen: theirs.
        taken: identities that must not be proposed again.
    """

    finished: tuple[FrozenTrial, ...]
    failed: tuple[FrozenTrial, ...]
    pending: tuple[FrozenTrial, ...]
    taken: frozenset[str]
    stopped: tuple[FrozenTrial, ...] = ()
    foreseen: tuple[float, ...] = ()

    @cached_property
    def rows(self) -> Array:
        """Metrics of the finished trials, (n, m)."""
        return np.array([trial.values for trial in self.finished], dtype=np.float64)


def read_history(trials: Sequence[FrozenTrial], domain: Domain, n_metrics: int, own: int) -> History:
    """Sort trials; those of another kind of study or space are passed over.

    Args:
        own: the number of the trial that is being asked for.
    """
    finished: list[FrozenTrial] = []
    failed: list[FrozenTrial] = []
    pending: list[FrozenTrial] = []
    taken: set[str] = set()
    for trial in trials:
        if trial.number == own or "duplicate_of" in trial.user_attrs:
            continue
        if trial.state == TrialState.COMPLETE and len(trial.values) == n_metrics:
            verdict = trial.user_attrs.get("verdict", "finished")
            usable = all(map(math.isfinite, trial.values)) and trial.values[0] > 0
            (finished if usable and verdict not in _UNTRAINED else failed).append(trial)
        elif trial.state == TrialState.RUNNING:
            pending.append(trial)
        identity = trial.user_attrs.get("candidate")
        if identity is None and trial.state != TrialState.FAIL:
            point = domain.stored(trial.params)
            identity = point.identity if point is not None else None
        if identity is not None:
            taken.add(identity)
    stopped, foreseen = _stopped(trials)
    return History(tuple(finished), tuple(failed), tuple(pending), frozenset(taken), stopped, foreseen)


def _stopped(trials: Sequence[FrozenTrial]) -> tuple[tuple[FrozenTrial, ...], tuple[float, ...]]:
    known = candidates(trials)
    stopped = [t for t in known if t.state == TrialState.PRUNED and "steps" in t.user_attrs]
    if not stopped:
        return (), ()
    margins = Margins.of(learning_curves([t for t in known if t.state == TrialState.COMPLETE], ()))
    ends = [(trial, margins.foreseen(learning_curve(trial, ()))) for trial in stopped]
    said = [(trial, math.exp(end)) for trial, end in ends if end is not None]
    return tuple(trial for trial, _ in said), tuple(value for _, value in said)


def points_of(trials: Sequence[FrozenTrial], domain: Domain) -> tuple[list[int], list[Point]]:
    """The points of trials, and which trials they belong to; what the space cannot say any more is left out."""
    found = [(index, domain.stored(trial.params)) for index, trial in enumerate(trials)]
    kept = [(index, point) for index, point in found if point is not None]
    return [index for index, _ in kept], [point for _, point in kept]


def choose_finished(shares: Array, rng: np.random.Generator, most: int = MOST_FINISHED) -> list[int]:
    """Which finished trials a model is fitted on, by the module's rule, front first.

    Args:
        shares: metrics as shares of the reference box, (n, m), in the order of finishing.
    """
    n = len(shares)
    on_front = np.flatnonzero(nondominated(shares)).tolist()
    if n <= most:
        first = set(on_front)
        return on_front + [i for i in range(n) if i not in first]
    gap = _gaps(shares, shares[on_front])
    chosen = dict.fromkeys(on_front[:most])
    rivals = np.argsort(gap, kind="stable")
    for group, size in (
        (rivals.tolist(), most // 2),
        (list(range(n - 1, -1, -1)), most * 3 // 4),
        (rng.permutation(n).tolist(), most),
    ):
        for index in group:
            if len(chosen) >= size:
                break
            chosen.setdefault(index)
    return list(chosen)


def choose_failed(count: int, rng: np.random.Generator, most: int = MOST_FAILED) -> list[int]:
    """Which failed trials a model is fitted on: half the most recent, half at random."""
    recent = list(range(max(0, count - most // 2), count))
    older = rng.permutation(count - len(recent))[: most - len(recent)]
    return sorted({*recent, *older.tolist()})


def _gaps(shares: Array, front: Array) -> Array:
    """How far each row's value lies above the best of the front's rows that cost no more, (n,)."""
    best = np.full(len(shares), np.inf)
    for row in front:
        cheaper = (row[1:] <= shares[:, 1:]).all(axis=1)
        best[cheaper] = np.minimum(best[cheaper], row[0])
    gaps: Array = shares[:, 0] - best
    return gaps
