"""Candidates that are trained again with other seeds: which ones, and what that makes of their perplexity.

Another seed (`recipe.seed`) draws other weights; the batches and their order (`recipe.data_seed`) stay those of the
whole study, so the spread that is measured is that of the starting point. From a checkpoint, whose weights are
given, another seed draws another order, and the spread is that of the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optuna.trial import FrozenTrial, TrialState

from aero_search.front.front import build_front
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference
from aero_search.front.record import Record, averaged
from aero_search.workers.trial_queue import CONFIRMS

# A place on the front is open where its chance lies between this and 1 minus this.
OPEN = 0.1


def replicates(trials: Sequence[FrozenTrial]) -> Mapping[int, Sequence[FrozenTrial]]:
    """The finished repetitions by the number of what they repeat, seeds rising.

    A repetition that turned out to be a candidate of the study is that one.
    """
    found: dict[int, list[FrozenTrial]] = {}
    for trial in trials:
        number = trial.user_attrs.get(CONFIRMS)
        told = trials[trial.user_attrs.get("duplicate_of", trial.number)]
        if number is not None and told.state == TrialState.COMPLETE:
            found.setdefault(number, []).append(told)
    return {number: sorted(told, key=lambda t: t.user_attrs["seed"]) for number, told in found.items()}


def replicated(record: Record, again: Sequence[Record]) -> Record:
    """A record with its repetitions: its qualities are then the means over the seeds that have one."""
    return averaged((record, *again)) if again and record.perplexity is not None else record


def contenders(records: Sequence[Record], objective: Objective, reference: Reference) -> list[int]:
    """What may be on the front, and the baseline: numbers of the best candidate of each such network.

    That is the front and its near rivals, whose chance to belong to it is above `OPEN`.
    """
    front = build_front(records, objective, reference)
    kept = {record.number for record in front.points}
    return [
        record.number
        for record, standing in front.standings
        if record.number in kept or front.is_baseline(record) or standing.chance > OPEN
    ]


def to_confirm(records: Sequence[Record], objective: Objective, reference: Reference) -> list[int]:
    """What one more seed may settle: numbers of the contenders that go on in the race.

    As in racing (Hoeffding races, Maron and Moore 1994; F-race, Birattari et al. 2002) what is decided gets none.
    Each contender has a second seed, and a further one while its chance lies between `OPEN` and 1 - `OPEN`; so has
    what it must beat, the lowest mean of all that costs no more.
    """
    known = set(contenders(records, objective, reference))
    found = set()
    for record, standing in build_front(records, objective, reference).standings:
        if record.number in known and not record.replicates:
            found.add(record.number)
        elif OPEN < standing.chance < 1 - OPEN:
            found |= {record.number, record.number if standing.rival is None else standing.rival}
    return sorted(found)
