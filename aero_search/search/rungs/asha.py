"""Asynchronous successive halving for several objectives: at each rung the best 1/eta go on.

After MO-ASHA (Schmucker, Donini, Zafar, Salinas, Archambeau 2021, arXiv 2106.12639): candidates at a rung are
sorted into non-dominated fronts, and within a front by an epsilon-net, each time the point farthest from those
before it. A candidate is judged as soon as it arrives, among those that have been there; one that was stopped goes
on when later arrivals make room for it. Costs are exact and enter as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import moocore
import numpy as np
import numpy.typing as npt

from aero_search.search.rungs.learning_curve import GO_ON, Decision, LearningCurve, Share
from aero_search.search.spec import RungsSpec

Array = npt.NDArray[np.float64]


def judge(spec: RungsSpec, own: LearningCurve, others: Sequence[LearningCurve]) -> Decision:
    """What becomes of `own` at the last point of its curve; others must not hold it."""
    if not is_rung(spec, own):
        return GO_ON
    rung = own.at
    here = [own, *present(others, rung)]
    kept = promoted(spec, here, rung)
    if own.number in kept:
        return GO_ON
    step = own.curve[-1][0]
    return Decision(
        "stopped",
        f"stopped at step {step:,} of {own.steps:,}: not among the best {len(kept)} of {len(here)} there",
    )


def is_rung(spec: RungsSpec, own: LearningCurve) -> bool:
    """Whether the last validation is the first at or after first, first x eta, ... of the steps."""
    before = own.curve[-2][0] if len(own.curve) > 1 else 0
    step, rung = own.curve[-1][0], spec.first * own.steps
    while rung < own.steps:
        # A validation at the rung counts for it, whichever way a share such as 1/3 was rounded.
        if before < rung * (1 - 1e-9) and step >= rung * (1 - 1e-9):
            return True
        rung *= spec.eta
    return False


def present(learning_curves: Sequence[LearningCurve], rung: Share) -> list[LearningCurve]:
    """Those that have been at a rung and have not turned out to be untrainable."""
    return [c for c in learning_curves if rung in c.heights and c.state not in ("diverged", "plateau")]


def promoted(spec: RungsSpec, here: Sequence[LearningCurve], rung: Share) -> set[int]:
    """Numbers of the best 1/eta, rounded up, of those at a rung."""
    # Of equal ones the earlier, whoever asks.
    here = sorted(here, key=lambda training: training.number)
    order = ranking(np.array([[training.heights[rung], *training.costs] for training in here]))
    return {here[i].number for i in order[: math.ceil(len(here) / spec.eta)]}


def ranking(points: Array) -> list[int]:
    """Rows from best to worst: by non-dominated front, within one by epsilon-net from its first objective's best.

    Args:
        points: minimized, (n, m).
    """
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    unit = (points - low) / np.where(span > 0, span, 1.0)
    ranks = np.asarray(moocore.pareto_rank(points))
    order: list[int] = []
    for rank in np.unique(ranks):
        members = np.flatnonzero(ranks == rank)
        order += [int(members[i]) for i in _net(unit[members])]
    return order


def _net(points: Array) -> list[int]:
    chosen = [int(np.argmin(points[:, 0]))]
    distance = np.full(len(points), np.inf)
    while len(chosen) < len(points):
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
        distance[chosen] = -1.0
        chosen.append(int(np.argmax(distance)))
    return chosen
