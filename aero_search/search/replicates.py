"""Candidates that are trained again with other seeds: which ones, and what that makes of their perplexity.

Another seed draws other weights (`recipe.seed`); the batches and their order (`recipe.data_seed`) stay those of the
whole study, so the spread that is measured is that of the starting point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from optuna.trial import FrozenTrial, TrialState

from aero_search.front.front import build_front
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference, nondominated
from aero_search.front.record import Record, averaged
from aero_search.search.agreement import TIE
from aero_search.workers.trial_queue import CONFIRMS


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


def first_seed(record: Record) -> Record:
    """The record as it was before it was repeated."""
    if not record.replicates:
        return record
    first = record.replicates[0][1]
    changed = {"perplexity": first} if record.loss is None else {"loss": first}
    return replace(record, **changed, replicates=())  # type: ignore[arg-type] # mypy takes the values for any field's


def to_confirm(records: Sequence[Record], objective: Objective, reference: Reference) -> list[int]:
    """The front, its near rivals and the baseline by the first seed alone: numbers of what is worth other seeds.

    Of each network it is the best candidate. A near rival would be on the front with 2 % less perplexity, or as
    much of another quality's loss, which is what counts as a tie between seeds.
    """
    front = build_front([first_seed(record) for record in records], objective, reference)
    standing = [network.best for network in front.networks if network.best is not None]
    trained = [r for r in standing if r.state == "finished" and not objective.over(r.costs)]
    if not trained:
        return []
    shares = reference.scaled([[r.compared or 0.0, *(r.costs[m] for m in objective.costs)] for r in trained])
    ahead = shares[nondominated(shares)]
    near = math.log1p(TIE) / math.log(reference.unigram_perplexity)
    return [
        record.number
        for record, row in zip(trained, shares, strict=True)
        # Behind by less than a tie of whatever costs no more; on the front itself by none.
        if front.is_baseline(record)
        or not ((ahead[:, 1:] <= row[1:]).all(axis=1) & (ahead[:, 0] < row[0] - near)).any()
    ]
