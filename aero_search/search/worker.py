"""A worker: claims, trains and tells until the study's budget is used; any launcher may place it anywhere."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from optuna.storages import RDBStorage

from aero_search.architecture import Architecture, ModelShape, notation
from aero_search.cost import LIST_PRICES, PREFILL, Network, PriceList, Protocol, Workload
from aero_search.data.corpus import Corpus
from aero_search.fail_points import passes
from aero_search.front.objective import Objective
from aero_search.front.pricing import Price, Pricing, lowerings_of
from aero_search.search.candidate import Candidate
from aero_search.search.run import train_candidate
from aero_search.search.rung_reports import RungReports
from aero_search.search.spec import SearchSpec
from aero_search.search.study import Claim, Study
from aero_search.space import Space
from aero_search.tracking.opening import open_tracker
from aero_search.tracking.spec import TrackingSpec
from aero_search.tracking.tracker import Tracker
from aero_search.training.compute import Compute
from aero_search.training.memory import TrainingMemoryError
from aero_search.training.progress import ProgressFile
from aero_search.training.result import Result
from aero_search.workers.database import load_study, open_registry
from aero_search.workers.devices import use_devices
from aero_search.workers.parent_watchdog import stop_with_parent
from aero_search.workers.worker_registry import ClaimLostError, StillMine, WorkerLease


@dataclass(frozen=True)
class Plan:
    """Everything that parent and workers of one study share; plain data, so that any launcher can send it.

    Attributes:
        name: of the study.
        output_dir: absolute; the databases and the study's folder lie under it.
        target: the shape at which costs are counted; None: the one that is trained.
        workload: what one query is, which costs belong to.
        prices: of traffic and machines.
        only_queued: train the queued points and propose none (a plain sweep).
        corpus_folder: the prepared corpus of candidates that name none.
        compute: the devices of each worker.
    """

    name: str
    output_dir: Path
    objective: Objective
    protocol: Protocol
    network: Network
    space: Space
    search: SearchSpec
    tracking: TrackingSpec
    corpus_folder: Path
    only_queued: bool = False
    compute: Compute = field(default_factory=Compute)
    target: ModelShape | None = None
    workload: Workload = PREFILL
    prices: PriceList = LIST_PRICES

    @property
    def pricing(self) -> Pricing:
        """What candidates are priced under."""
        lowerings = lowerings_of(self.space.lowerings, self.objective)
        return Pricing(self.protocol, self.network, self.target, self.workload, self.prices, lowerings)

    @property
    def folder(self) -> Path:
        """The study's own folder."""
        return self.output_dir / "studies" / self.name

    def price(self, architecture: Architecture) -> Price:
        """Every known cost of an architecture under the plan's protocol, network and target."""
        return self.pricing.price(architecture)

    def costs_of_many(self, architectures: Sequence[Architecture]) -> Sequence[Mapping[str, float]]:
        """The same of many at once, for a sampler that looks at thousands."""
        return self.pricing.many(architectures)

    def open_study(self) -> Study:
        """The study, which the parent has created; where its database is down just now, we wait."""
        return self.study(*load_study(self.output_dir, self.name, self.search.storage, wait=True))

    def study(self, study: optuna.Study, storage: RDBStorage) -> Study:
        """Optuna's study, already created in `storage`, as workers and the parent see it."""
        search = self.search
        registry = open_registry(storage, self.name, self.folder, search.heartbeat)
        return Study(
            study, self.objective, self.folder, self.price, self.costs_of_many, registry, search.retries
        )


@dataclass(frozen=True)
class Worker:
    """One worker of a plan; picklable.

    Attributes:
        parent_run: the study's run in the tracking store; empty without tracking.
        parent_process, parent_host: the launching process; a worker on its host stops when it is gone, so that
            a killed search does not go on unseen.
        index: of this worker among those launched with it, from 0.
        limit: candidates it takes; None is no limit.
        launch_id: see `WorkerLease`.
    """

    plan: Plan
    compose: Callable[[Sequence[str]], Candidate]
    parent_run: str
    parent_process: int
    parent_host: str
    index: int = 0
    limit: int | None = None
    launch_id: str = ""

    def run(self) -> None:
        """Train until the budget is used."""
        stop_with_parent(self.parent_process, self.parent_host)
        use_devices(self.index, self.plan.compute)
        study = self.plan.open_study()
        tracker = open_tracker(self.plan.tracking, self.plan.output_dir)
        while not self._work(study, tracker):
            pass
        if os.getpid() != self.parent_process:
            # The search waits for this process's end, and what the interpreter collects there takes seconds.
            gc.freeze()

    def _work(self, study: Study, tracker: Tracker) -> bool:
        """Train under one name. Returns False where others have taken that for dead: another is needed."""
        plan = self.plan
        taken = 0
        with study.registry.enter(self.launch_id) as worker:
            while self.limit is None or taken < self.limit:
                claim = study.claim(worker, plan.search, plan.space, self.compose, plan.only_queued)
                if claim is None:
                    break
                taken += 1
                try:
                    result = self._train(claim, study, tracker, worker)
                except ClaimLostError:
                    return False
                except TrainingMemoryError as problem:
                    study.give_up(claim.trial.number, str(problem))
                    continue
                study.tell(claim.trial.number, result)
                if worker.lost:
                    return False
        return True

    def _train(self, claim: Claim, study: Study, tracker: Tracker, worker: WorkerLease) -> Result:
        candidate = claim.candidate
        tracked = tracker.start_candidate(
            self.parent_run or None,
            _name(claim),
            params=_params(candidate),
            costs=claim.priced.price.figures,
            tags={
                "study": self.plan.name,
                "trial": str(claim.trial.number),
                "candidate": candidate.identity,
                **_part(claim),
                **self._priced(candidate),
            },
        )
        study.note_run(claim.trial.number, tracked.run_id)
        passes("trial tracked")
        claim.folder.mkdir(parents=True, exist_ok=True)
        progress = ProgressFile(claim.folder, candidate.notation, candidate.recipe.steps)
        corpus = Corpus.open(candidate.corpus_folder or self.plan.corpus_folder)
        # A sweep compares all that it was given, and a repetition is worth its whole length.
        rungs = self.plan.search.rungs
        judged = rungs.name != "none" and claim.confirms is None and not self.plan.only_queued
        reports = (RungReports(study, claim.trial.number, rungs),) if judged else ()
        return train_candidate(
            candidate,
            corpus,
            claim.folder,
            tracked,
            (progress, StillMine(worker), *reports),
            self.plan.search.threads,
            self.plan.compute,
            *reports,
        )

    def _priced(self, candidate: Candidate) -> dict[str, str]:
        """What the costs of a run belong to, where that is not the network whose perplexity it shows."""
        target = self.plan.target
        if target is None:
            return {}
        return {
            "costs_of": f"{target.text}: {notation(self.plan.pricing.priced(candidate.architecture))}",
            "perplexity_of": "the proxy",
        }


def _name(claim: Claim) -> str:
    if claim.confirms is not None:
        return f"{claim.candidate.notation} #{claim.confirms} seed {claim.candidate.recipe.seed}"
    return f"{claim.candidate.notation} #{claim.trial.number}"


def _part(claim: Claim) -> dict[str, str]:
    """Tags of a training that goes on with, or repeats, another trial's."""
    said = {"resumes": claim.resumes, "confirms": claim.confirms}
    return {name: str(number) for name, number in said.items() if number is not None}


def _params(candidate: Candidate) -> dict[str, object]:
    """What differs between candidates, named as on the command line; the seed is one that repetitions change."""
    varied = dict(override.split("=", 1) for override in candidate.overrides)
    return {"notation": candidate.notation, "recipe.seed": candidate.recipe.seed, **varied}
