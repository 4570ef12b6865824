"""Candidates that are trained again with other seeds: which ones, and what that makes of their perplexity.

Another seed draws other weights (`recipe.seed`); the batches and their order (`recipe.data_seed`) stay those of the
whole study, so the spread that is measured is that of the starting point.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from optuna.trial import FrozenTrial, TrialState

from aero_search.front.front import build_front
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference, nondominated
from aero_search.front.record import Record
from aero_search.search.agreement import TIE
from aero_search.workers.trial_queue import CONFIRMS

Replicates = Sequence[tuple[int, float | None]]


def replicates(trials: Sequence[FrozenTrial]) -> Mapping[int, Replicates]:
    """(seed, perplexity) of the finished repetitions by the number of what they repeat, seeds rising.

    A repetition that turned out to be a candidate of the study has that one's perplexity.
    """
    found: dict[int, list[tuple[int, float | None]]] = {}
    for trial in trials:
        number = trial.user_attrs.get(CONFIRMS)
        told = trials[trial.user_attrs.get("duplicate_of", trial.number)]
        if number is not None and told.state == TrialState.COMPLETE:
            found.setdefault(number, []).append((told.user_attrs["seed"], told.user_attrs["perplexity"]))
    return {number: sorted(pairs, key=lambda pair: pair[0]) for number, pairs in found.items()}


def replicated(record: Record, again: Replicates) -> Record:
    """A record with its repetitions: its perplexity is then the geometric mean over the seeds that have one."""
    if not again or record.perplexity is None:
        return record
    pairs = ((record.seed, record.perplexity), *again)
    logs = [math.log(value) for _, value in pairs if value is not None]
    return replace(record, perplexity=math.exp(statistics.fmean(logs)), replicates=pairs)


def first_seed(record: Record) -> Record:
    """The record as it was before it was repeated."""
    return replace(record, perplexity=record.replicates[0][1], replicates=()) if record.replicates else record


def to_confirm(records: Sequence[Record], objective: Objective, reference: Reference) -> list[int]:
    """The front, its near rivals and the baseline by the first seed alone: numbers of what is worth other seeds.

    Of each network it is the best candidate. A near rival would be on the front with 2 % less perplexity, which is
    what counts as a tie between seeds.
    """
    front = build_front([first_seed(record) for record in records], objective, reference)
    standing = [network.best for network in front.networks if network.best is not None]
    trained = [r for r in standing if r.state == "finished" and not objective.over(r.costs)]
    if not trained:
        return []
    shares = reference.scaled([[r.metric(m) or 0.0 for m in objective.metrics] for r in trained])
    ahead = shares[nondominated(shares)]
    near = math.log1p(TIE) / math.log(reference.unigram_perplexity)
    return [
        record.number
        for record, row in zip(trained, shares, strict=True)
        # Behind by less than a tie of whatever costs no more; on the front itself by none.
        if front.is_baseline(record)
        or not ((ahead[:, 1:] <= row[1:]).all(axis=1) & (ahead[:, 0] < row[0] - near)).any()
    ]
