"""A study: the shared record of candidates that workers claim, train and tell.

Everything a killed search needs to go on is in Optuna's database and in the candidates' folders. A worker claims
under a lock, so that a budget is never overdrawn and no two workers train the same candidate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from aero_search.architecture import Architecture
from aero_search.errors import RequestError
from aero_search.schema import from_mapping, to_mapping
from aero_search.search.candidate import Candidate
from aero_search.search.known_cost.domain import Domain, make_domain
from aero_search.search.ledger import Ledger, WorkerLock
from aero_search.search.objective import PERPLEXITY, Objective
from aero_search.search.record import Record, State
from aero_search.search.samplers import make_sampler
from aero_search.search.spec import SearchSpec
from aero_search.space import Space
from aero_search.training.result import RESULT_FILE, Result, read_result

# After this many asks a space counts as used up: the others were duplicates and impossible architectures.
_ASKS_PER_TRIAL, _SPARE_ASKS = 20, 50
# What lies above a limit has a count of its own: a narrow limit leaves few of many, and each is told in no time.
_OVER_PER_TRIAL, _SPARE_OVER = 100, 400
# After so many proposals in a row that need no training, the next are random: a model that sees nothing new
# may ask for the same point for ever.
_PATIENCE = 5


@dataclass(frozen=True)
class Claim:
    """A trial that this worker is to train."""

    trial: optuna.Trial
    candidate: Candidate
    folder: Path


class Study(Ledger):
    """One study as workers and the parent see it.

    Args:
        study: Optuna's, already created.
        objective: its metrics.
        folder: holds candidates, workers' locks and the front's files.
        costs: every known metric of an architecture.
        costs_of_many: the same of many at once, where there is a faster way than one by one.
    """

    def __init__(
        self,
        study: optuna.Study,
        objective: Objective,
        folder: Path,
        costs: Callable[[Architecture], Mapping[str, float]],
        costs_of_many: Callable[[Sequence[Architecture]], Sequence[Mapping[str, float]]] | None = None,
    ) -> None:
        super().__init__(study, folder)
        self.objective = objective
        self.costs = costs
        self._costs_of_many = costs_of_many or (lambda many: [costs(a) for a in many])
        self._domain: Domain | None = None
        self._records: dict[int, Record] = {}

    def claim(
        self,
        worker: WorkerLock,
        spec: SearchSpec,
        space: Space,
        compose: Callable[[Sequence[str]], Candidate],
        only_queued: bool = False,
    ) -> Claim | None:
        """Take the next candidate to train; None when the budget is used or the space is used up.

        With `only_queued` nothing is proposed beyond the queued points. Duplicates of a trained candidate are
        told its values; impossible architectures, and those above a limit of the objective, are told as failed.
        """
        with self._claiming():
            self._give_back_orphans()
            wasted = 0
            while self.left(spec, only_queued):
                sampler = spec.sampler if wasted < _PATIENCE else replace(spec.sampler, name="random")
                points = self._points(space, compose)
                self.study.sampler = make_sampler(sampler, spec.seed, self._turn(), points)
                wasted += 1
                trial = self.study.ask()
                overrides = space.overrides(space.suggest(trial))
                try:
                    candidate = compose(overrides)
                    costs = self.costs(candidate.architecture)
                except RequestError as problem:
                    self._fail(trial.number, invalid=str(problem))
                    continue
                if over := self.objective.over(costs):
                    self._fail(trial.number, over=over, notation=candidate.notation, costs=dict(costs))
                    continue
                twin = self._twin(candidate.identity)
                if twin is None:
                    return self._claimed(trial, candidate, costs, worker)
                self._tell_duplicate(trial, twin)
        return None

    def tell(self, number: int, result: Result) -> None:
        """Record a finished training; a diverged one counts with the unigram perplexity."""
        trial = self._trial(number)
        perplexity = result.perplexity if result.perplexity is not None else result.unigram_perplexity
        self._set(
            trial._trial_id,
            verdict=result.verdict,
            reason=result.reason,
            perplexity=result.perplexity,
            seconds=result.seconds,
        )
        costs: Mapping[str, float] = trial.user_attrs["costs"]
        self.study.tell(number, [perplexity, *(costs[metric] for metric in self.objective.costs)])

    def orphaned_runs(self) -> list[str]:
        """The tracking runs that dead workers left open."""
        orphans = [trial for trial in self._trials() if "orphan" in trial.user_attrs]
        return [trial.user_attrs["run"] for trial in orphans if trial.user_attrs.get("run")]

    def runs(self) -> dict[int, str]:
        """The tracking runs of candidates, by trial number."""
        return {t.number: t.user_attrs["run"] for t in self._trials() if t.user_attrs.get("run")}

    def invalid(self) -> Counter[str]:
        """Why proposals could not be built, and how many."""
        return Counter(t.user_attrs["invalid"] for t in self._trials() if "invalid" in t.user_attrs)

    def over(self) -> Counter[str]:
        """Which limits proposals were above, and how many; none of them was trained."""
        return Counter(t.user_attrs["over"] for t in self._trials() if "over" in t.user_attrs)

    def _settled(self, trial: FrozenTrial) -> bool:
        folder = self.candidate_folder(trial.user_attrs.get("candidate", "none"))
        if "candidate" not in trial.user_attrs or not (folder / RESULT_FILE).is_file():
            return False
        self.tell(trial.number, read_result(folder))
        return True

    def used(self) -> int:
        """How much of the budget is trained or in training."""
        return sum(_counts(trial) for trial in self._trials())

    def records(self) -> list[Record]:
        """Every candidate trained or in training, by trial number."""
        return [self._record(trial) for trial in self._trials() if _counts(trial)]

    def duplicates(self) -> int:
        """How many trials asked for a candidate that was already known."""
        return sum("duplicate_of" in trial.user_attrs for trial in self._trials())

    def candidate_folder(self, identity: str) -> Path:
        """Where a candidate's config, result and weights lie."""
        return self.folder / "candidates" / identity

    def note_run(self, number: int, run_id: str) -> None:
        """Remember the tracking run of a trial."""
        self._set(self._trial(number)._trial_id, run=run_id)

    def left(self, spec: SearchSpec, only_queued: bool = False) -> int:
        """How many candidates are still to be claimed."""
        trials = self._trials()
        if only_queued:
            return sum(trial.state == TrialState.WAITING for trial in trials)
        over = sum("over" in trial.user_attrs for trial in trials)
        if len(trials) - over >= _ASKS_PER_TRIAL * spec.n_trials + _SPARE_ASKS:
            return 0
        if over >= _OVER_PER_TRIAL * spec.n_trials + _SPARE_OVER:
            return 0
        return max(spec.n_trials - sum(map(_counts, trials)), 0)

    def _points(self, space: Space, compose: Callable[[Sequence[str]], Candidate]) -> Domain:
        """What a sampler can know of the space; kept between claims, for it remembers what it has decoded."""
        if self._domain is None or self._domain.space is not space:
            self._domain = make_domain(space, compose, self.objective, self._costs_of_many)
        return self._domain

    def _twin(self, identity: str) -> FrozenTrial | None:
        for trial in self._trials():
            if _counts(trial) and trial.user_attrs.get("candidate") == identity:
                return trial
        return None

    def _tell_duplicate(self, trial: optuna.Trial, twin: FrozenTrial) -> None:
        self._set(trial._trial_id, duplicate_of=twin.number)
        if twin.state == TrialState.COMPLETE:
            self.study.tell(trial, twin.values)
        else:
            self.study.tell(trial, state=TrialState.FAIL)

    def _claimed(
        self, trial: optuna.Trial, candidate: Candidate, costs: Mapping[str, float], worker: WorkerLock
    ) -> Claim:
        self._set(
            trial._trial_id,
            worker=worker.name,
            notation=candidate.notation,
            architecture=to_mapping(candidate.architecture),
            overrides=list(candidate.overrides),
            lr=candidate.recipe.lr,
            seed=candidate.recipe.seed,
            costs=dict(costs),
            # Last: a trial that has it has everything.
            candidate=candidate.identity,
        )
        return Claim(trial, candidate, self.candidate_folder(candidate.identity))

    def _record(self, trial: FrozenTrial) -> Record:
        known = self._records.get(trial.number)
        if known is not None:
            return known
        attrs = trial.user_attrs
        state: State = attrs["verdict"] if trial.state == TrialState.COMPLETE else "running"
        record = Record(
            number=trial.number,
            candidate=attrs["candidate"],
            architecture=from_mapping(Architecture, attrs["architecture"], "architecture"),
            notation=attrs["notation"],
            state=state,
            reason=attrs.get("reason", ""),
            perplexity=attrs.get(PERPLEXITY),
            costs=attrs["costs"],
            overrides=tuple(attrs["overrides"]),
            lr=attrs["lr"],
            seed=attrs["seed"],
            seconds=attrs.get("seconds"),
            folder=self.candidate_folder(attrs["candidate"]),
        )
        if trial.state == TrialState.COMPLETE:
            # It cannot change any more, and thousands take seconds to read.
            self._records[trial.number] = record
        return record


def _counts(trial: FrozenTrial) -> bool:
    """Whether a trial is a candidate of the budget: in training or trained, and no duplicate."""
    return (
        trial.state in (TrialState.RUNNING, TrialState.COMPLETE)
        and "duplicate_of" not in trial.user_attrs
        and "candidate" in trial.user_attrs
    )
