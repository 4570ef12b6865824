"""Which networks go on to a larger size: what may be on the front, spread over it."""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import numpy as np
import numpy.typing as npt

from aero_search.front.front import build_front
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference
from aero_search.front.record import Record
from aero_search.search.replicates import contenders
from aero_search.search.stages.stage import allowed

Array = npt.NDArray[np.float64]


def to_promote(
    records: Sequence[Record], objective: Objective, reference: Reference, networks: int | float
) -> list[int]:
    """Numbers of the candidates whose networks go on, the baseline's first where it was trained.

    Those that `search.confirm` would repeat may go on: the front, and what has a chance to belong to it. Where more
    may than are allowed, they are taken one by one, each the one that adds the most hypervolume to those
    before: greedy hypervolume subset selection (Guerreiro et al. 2016, doi 10.1162/EVCO_a_00188).

    Args:
        networks: the most that go on beside the baseline: a number, or a share of the networks that were trained.
    """
    front = build_front(records, objective, reference)
    by_number = {record.number: record for record in records}
    hopeful = [front.standing(by_number[number]) for number in contenders(records, objective, reference)]
    others = [record for record in hopeful if not front.is_baseline(record)]
    trained = sum(network.best is not None for network in front.networks)
    most = allowed(networks, trained)
    shares = reference.scaled([[r.compared or 0.0, *(r.costs[m] for m in objective.costs)] for r in others])
    baseline = [] if front.baseline_record is None else [front.baseline_record.number]
    return [*baseline, *(others[i].number for i in greedy_subset(shares, most))]


def greedy_subset(shares: Array, most: int) -> list[int]:
    """At most so many rows, each adding the most hypervolume to those before it; of equal gains the first.

    Args:
        shares: of the reference box, whose far corner is 1, (n, m); minimized.
    """
    chosen: list[int] = []
    left = list(range(len(shares)))
    while left and len(chosen) < most:
        volumes = [_volume(shares[[*chosen, i]]) for i in left]
        chosen.append(left.pop(int(np.argmax(volumes))))
    return chosen


def _volume(shares: Array) -> float:
    inside = shares[(shares < 1.0).all(axis=1)]
    return float(moocore.hypervolume(inside, ref=np.ones(shares.shape[1]))) if len(inside) else 0.0
