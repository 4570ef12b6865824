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

from aero_search.architecture import Architecture, key
from aero_search.errors import AeroSearchError, RequestError
from aero_search.fail_points import passes
from aero_search.front.objective import Objective
from aero_search.front.pricing import Price
from aero_search.front.quality import ACCURACY, BITS_PER_BYTE, PERPLEXITY
from aero_search.front.record import Record, State
from aero_search.integrity import put_aside
from aero_search.integrity import tell as say
from aero_search.schema import from_mapping, to_mapping
from aero_search.search.candidate import Candidate
from aero_search.search.known_cost.domain import Domain, make_domain
from aero_search.search.learning_curves import candidates, curve, loss_of
from aero_search.search.replicates import replicated, replicates
from aero_search.search.resume_and_replicate import ResumeAndReplicate, seeded
from aero_search.search.samplers import make_sampler
from aero_search.search.spec import SearchSpec
from aero_search.space import Space
from aero_search.training.memory import check_fits
from aero_search.training.result import RESULT_FILE, Result, check_weights, read_result
from aero_search.workers.study_files import GAP
from aero_search.workers.trial_queue import CONFIRMS, RESUMES, RETRIES, SEED, quarantine
from aero_search.workers.worker_registry import WorkerLease, WorkerRegistry

# After this many asks a space counts as exhausted: the others were duplicates and impossible architectures.
_ASKS_PER_TRIAL, _SPARE_ASKS = 20, 50
# What lies above a limit has a count of its own: a narrow limit leaves few of many, and each is told in no time.
_OVER_PER_TRIAL, _SPARE_OVER = 100, 400
# After so many proposals in a row that need no training, the next are random: a model that sees nothing new
# may ask for the same point for ever.
_PATIENCE = 5
# Of a training; `training.checkpoint` needs torch to say so.
CHECKPOINTS = "checkpoint.*"


@dataclass(frozen=True)
class Priced:
    """A candidate with its price, which is counted when it is asked for and travels until it is told."""

    candidate: Candidate
    price: Price


@dataclass(frozen=True)
class Claim:
    """A trial that this worker is to train.

    Attributes:
        resumes: the stopped trial that it goes on with.
        confirms: the trial that it repeats with another seed.
    """

    trial: optuna.Trial
    priced: Priced
    folder: Path
    resumes: int | None = None
    confirms: int | None = None

    @property
    def candidate(self) -> Candidate:
        return self.priced.candidate


class Study(ResumeAndReplicate):
    """One study as workers and the parent see it.

    Args:
        study: Optuna's, already created.
        objective: its metrics.
        folder: holds candidates, workers' locks and the front's files.
        price: every known cost of an architecture.
        costs_of_many: the metrics of many at once, where there is a faster way than one by one.
        registry, retries: see `TrialQueue`.
    """

    def __init__(
        self,
        study: optuna.Study,
        objective: Objective,
        folder: Path,
        price: Callable[[Architecture], Price],
        costs_of_many: Callable[[Sequence[Architecture]], Sequence[Mapping[str, float]]] | None = None,
        registry: WorkerRegistry | None = None,
        retries: int = RETRIES,
    ) -> None:
        super().__init__(study, folder, objective, registry, retries)
        self.price = price
        self._costs_of_many = costs_of_many or (lambda many: [price(a).costs for a in many])
        self._domain: Domain | None = None
        self._records: dict[int, Record] = {}

    def claim(
        self,
        worker: WorkerLease,
        spec: SearchSpec,
        space: Space,
        compose: Callable[[Sequence[str]], Candidate],
        only_queued: bool = False,
    ) -> Claim | None:
        """Take the next candidate to train; None when the budget is used or the space is exhausted.

        A stopped candidate that the rungs would not stop now goes on before anything new is proposed.
        With `only_queued` nothing is proposed beyond the queued points. Duplicates of a trained candidate are
        told its values; impossible architectures, and those above a limit of the objective, are told as failed.
        """
        return self._under_claim_lock(lambda: self._claim(worker, spec, space, compose, only_queued))

    def _claim(
        self,
        worker: WorkerLease,
        spec: SearchSpec,
        space: Space,
        compose: Callable[[Sequence[str]], Candidate],
        only_queued: bool,
    ) -> Claim | None:
        self._requeue_stale()
        wasted = 0
        while self.left(spec, only_queued):
            if not only_queued:
                self._queue_stopped(spec.rungs)
            sampler = spec.sampler if wasted < _PATIENCE else replace(spec.sampler, name="random")
            points = self._points(space, compose)
            self.study.sampler = make_sampler(sampler, spec.seed, self._turn(), points)
            wasted += 1
            trial = self._ask()
            assignment = space.suggest(trial)
            overrides = seeded(space.overrides(assignment), trial.user_attrs.get(SEED))
            try:
                candidate = compose(overrides)
                check_fits(candidate.architecture)
                priced = Priced(candidate, self.price(candidate.architecture))
            except RequestError as problem:
                self._fail(trial.number, invalid=str(problem))
                continue
            costs = priced.price.costs
            if over := self.objective.over(costs):
                self._fail(trial.number, over=over, notation=candidate.notation, costs=dict(costs))
                continue
            twin = self._twin(candidate.identity, trial.user_attrs.get(RESUMES))
            if twin is not None:
                self._tell_duplicate(trial, twin)
                continue
            claim = self._claimed(trial, priced, points.network(assignment, candidate), worker)
            # A worker that was taken for dead may have finished all the same, and so may a training whose trial
            # no database knows any longer.
            if not self._settled(self._trial(trial.number)):
                return claim
        return None

    def tell(self, number: int, result: Result) -> None:
        """Record a finished training; a diverged one counts as token frequencies alone, a stopped one has none.

        What was given to another worker, because this one was silent for too long, is that one's to tell.
        """
        self._still_ours(number, lambda: self._tell(self._trial(number), result))

    def _tell(self, trial: FrozenTrial, result: Result) -> None:
        stopped, scale = result.verdict == "stopped", self.scale
        loss = loss_of(scale, result)
        self._set(
            trial._trial_id,
            verdict=result.verdict,
            reason=result.reason,
            perplexity=None if stopped else result.perplexity,
            accuracy=None if stopped else result.accuracy,
            bits_per_byte=None if stopped else result.bits_per_byte,
            loss=None if stopped or scale.worst is None else loss,
            seconds=result.seconds,
            curve=[[point.step, loss_of(scale, point)] for point in result.curve],
        )
        passes("result told")
        if stopped:
            self._end(trial.number, state=TrialState.PRUNED)
            return
        told = (
            loss
            if loss is not None
            else scale.unigram_perplexity
            if scale.worst
            else result.unigram_perplexity
        )
        costs: Mapping[str, float] = trial.user_attrs["costs"]
        self._end(trial.number, [told, *(costs[metric] for metric in self.objective.costs)])

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

    def given_up(self) -> list[tuple[str, str]]:
        """The candidates whose workers died of them or found no memory, by the label of their trial."""
        trials = self._trials()
        return [
            (f"{trials[number].user_attrs.get('notation', 'a candidate')}  #{number}", reason)
            for number, reason in self.quarantined().items()
        ]

    def _settled(self, trial: FrozenTrial) -> bool:
        folder = self.candidate_folder(trial.user_attrs.get("candidate", "none"))
        if "candidate" not in trial.user_attrs or not (folder / RESULT_FILE).exists():
            return False
        try:
            result = read_result(folder)
            check_weights(folder, result)
        except AeroSearchError as problem:
            kept = put_aside(folder / RESULT_FILE)
            say(
                f"{' '.join(str(problem).split())[:300]}; kept as {kept.name}, and the candidate is trained again"
            )
            return False
        self.tell(trial.number, result)
        return True

    def _gained(self, trial: FrozenTrial) -> float:
        """When the candidate last left a checkpoint, in seconds of its file system's clock."""
        folder = self.candidate_folder(trial.user_attrs.get("candidate", "none"))
        return max((path.stat().st_mtime for path in folder.glob(CHECKPOINTS)), default=0.0)

    def used(self) -> int:
        """How much of the budget is trained or in training."""
        return len(candidates(self._trials()))

    def records(self) -> list[Record]:
        """Every candidate trained, stopped or in training, by trial number."""
        trials = self._trials()
        again = replicates(trials)
        return [
            replicated(self._record(trial), [self._record(t) for t in again.get(trial.number, ())])
            for trial in candidates(trials)
        ]

    def repetitions(self) -> list[Record]:
        """The trainings of `confirm`, those that wait for their turn left out."""
        return [
            self._record(trial)
            for trial in self._trials()
            if CONFIRMS in trial.user_attrs
            and "candidate" in trial.user_attrs
            and trial.state in (TrialState.RUNNING, TrialState.COMPLETE)
        ]

    def repeated(self) -> dict[int, int]:
        """What each training of `confirm` repeats, by trial number."""
        return {t.number: t.user_attrs[CONFIRMS] for t in self._trials() if CONFIRMS in t.user_attrs}

    def asked_repetitions(self) -> int:
        """How many trainings `confirm` has asked for in all."""
        asked = (t for t in self._trials() if CONFIRMS in t.user_attrs)
        return sum(t.state != TrialState.FAIL for t in asked)

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
        """How many trainings are still to be claimed: new ones, then stopped ones that may go on, and repeats."""
        if (new := self._new(self._trials(), spec, only_queued)) or only_queued:
            return new
        return self.waiting() + len(self._resumable(spec.rungs))

    def planned(self, spec: SearchSpec, only_queued: bool = False) -> int:
        """How many candidates there will be: claimed ones and those still to be claimed, at one moment."""
        trials = self._trials()
        return len(candidates(trials)) + self._new(trials, spec, only_queued)

    def _new(self, trials: Sequence[FrozenTrial], spec: SearchSpec, only_queued: bool) -> int:
        """How many candidates of the budget are still to be claimed."""
        if only_queued:
            return sum(trial.state == TrialState.WAITING for trial in trials)
        over = sum("over" in trial.user_attrs for trial in trials)
        gaps = sum(GAP in trial.user_attrs for trial in trials)
        if len(trials) - over - gaps >= _ASKS_PER_TRIAL * spec.n_trials + _SPARE_ASKS:
            return 0
        if over >= _OVER_PER_TRIAL * spec.n_trials + _SPARE_OVER:
            return 0
        return max(spec.n_trials - len(candidates(trials)), 0)

    def _points(self, space: Space, compose: Callable[[Sequence[str]], Candidate]) -> Domain:
        """What a sampler can know of the space; kept between claims, for it remembers what it has decoded."""
        if self._domain is None or self._domain.space is not space:
            self._domain = make_domain(space, compose, self.objective, self._costs_of_many)
        return self._domain

    def _twin(self, identity: str, resumes: int | None) -> FrozenTrial | None:
        trials = self._trials()
        known = [*candidates(trials), *(t for t in trials if quarantine(t))]
        for trial in known:
            if trial.user_attrs.get("candidate") == identity and trial.number != resumes:
                return trial
        return None

    def _tell_duplicate(self, trial: optuna.Trial, twin: FrozenTrial) -> None:
        self._set(trial._trial_id, duplicate_of=twin.number)
        if twin.state == TrialState.COMPLETE:
            self._end(trial.number, twin.values)
        else:
            stopped = twin.state == TrialState.PRUNED
            self._end(trial.number, state=TrialState.PRUNED if stopped else TrialState.FAIL)

    def _claimed(self, trial: optuna.Trial, priced: Priced, network: str, worker: WorkerLease) -> Claim:
        candidate = priced.candidate
        resumes, confirms = (trial.user_attrs.get(name) for name in (RESUMES, CONFIRMS))
        if resumes is not None:
            self._set(trial._trial_id, curve=curve(self._trial(resumes)))
        self._set(
            trial._trial_id,
            worker=worker.name,
            notation=candidate.notation,
            architecture=to_mapping(candidate.architecture),
            overrides=list(candidate.overrides),
            lr=candidate.recipe.lr,
            seed=candidate.recipe.seed,
            steps=candidate.recipe.steps,
            costs=dict(priced.price.costs),
            network=network,
            **({"lowerings": dict(priced.price.lowerings)} if priced.price.lowerings else {}),
            # Last: a trial that has it has everything.
            candidate=candidate.identity,
        )
        passes("trial described")
        self._keep(trial.number)
        folder = self.candidate_folder(candidate.identity)
        if resumes is not None:
            # It says where the candidate was stopped; the checkpoint beside it is what goes on.
            (folder / RESULT_FILE).unlink(missing_ok=True)
        return Claim(trial, priced, folder, resumes, confirms)

    def _record(self, trial: FrozenTrial) -> Record:
        known = self._records.get(trial.number)
        if known is not None:
            return known
        attrs = trial.user_attrs
        state: State = attrs["verdict"] if trial.state.is_finished() else "running"
        architecture = from_mapping(Architecture, attrs["architecture"], "architecture")
        record = Record(
            number=trial.number,
            candidate=attrs["candidate"],
            architecture=architecture,
            notation=attrs["notation"],
            state=state,
            reason=attrs.get("reason", ""),
            perplexity=attrs.get(PERPLEXITY),
            accuracy=attrs.get(ACCURACY),
            bits_per_byte=attrs.get(BITS_PER_BYTE),
            loss=attrs.get("loss"),
            costs=attrs["costs"],
            overrides=tuple(attrs["overrides"]),
            lr=attrs["lr"],
            seed=attrs["seed"],
            seconds=attrs.get("seconds"),
            folder=self.candidate_folder(attrs["candidate"]),
            steps=attrs.get("steps", 0),
            curve=curve(trial),
            network=attrs.get("network") or key(architecture),
            lowerings=attrs.get("lowerings", {}),
        )
        if trial.state.is_finished():
            # It cannot change any more, and thousands take seconds to read.
            self._records[trial.number] = record
        return record
