"""The parent's side of a study: prepare it, launch workers, keep them going, and watch the front grow."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import optuna

from aero_search.data.corpus import Corpus
from aero_search.errors import AeroSearchError
from aero_search.fail_points import passes
from aero_search.front.front import Front, build_front
from aero_search.front.pareto import Reference
from aero_search.front.quality import MAXIMIZED
from aero_search.front.record import Record
from aero_search.markdown import code, code_block
from aero_search.schema import to_mapping
from aero_search.search.candidate import Candidate
from aero_search.search.replicates import to_confirm
from aero_search.search.settings import check_settings
from aero_search.search.study import Study
from aero_search.search.utilization import Utilization, utilization
from aero_search.search.worker import Plan, Worker
from aero_search.space import Assignment
from aero_search.tracking.opening import open_tracker
from aero_search.tracking.tracker import StudyStatus, Tracker
from aero_search.workers.database import create_study, name_metrics, open_storage
from aero_search.workers.study_files import require_unused
from aero_search.workers.trial_queue import TrialQueue
from aero_search.workers.worker_registry import new_launch_id

# How often workers are placed again after one of them was killed with nothing finished in between, before the
# search gives up.
_RELAUNCHES = 5
# Between two looks at what other machines still train.
_LOOK_SECONDS = 2.0

Launch = Callable[[Worker, int], None]


@dataclass(frozen=True)
class StudyRunner:
    """Runs one study to its end.

    Attributes:
        settings: what must not change when the study is resumed, see `settings.study_settings`.
        start: points to try first.
        reference: of the hypervolume.
        command: the line that repeats or resumes the study.
        corpora: the packed corpora of the candidates, by what they were prepared from.
        follow_up: the points to queue when the queue is empty, from what is trained; none end the study.
        launch_id: of its workers, see `WorkerLease`.
    """

    plan: Plan
    settings: Mapping[str, Any]
    start: Sequence[Assignment]
    reference: Reference
    command: str
    follow_up: Callable[[Sequence[Record]], Sequence[Assignment]] | None = None
    corpora: Mapping[str, Corpus] = field(default_factory=dict)
    launch_id: str = field(default_factory=new_launch_id)

    def prepare(self) -> Study:
        """Create the study, or check that it is the one to resume, and settle what a killed run left open.

        Raises:
            RequestError: a study of that name was made with other settings.
        """
        plan = self.plan
        storage = open_storage(plan.output_dir, plan.search.storage)
        if plan.name not in optuna.get_all_study_names(storage):
            require_unused(plan.folder)
        created = create_study(storage, plan.name, plan.objective.metrics)
        passes("study created")
        study = plan.study(created, storage)
        # Another machine may start the same study at this moment.
        with study.registry.claim_lock():
            self._describe(study)
            study.enqueue(self.start)
            passes("study queued")
        return study

    def _describe(self, study: Study) -> None:
        plan = self.plan
        attrs = study.study.user_attrs
        if "settings" in attrs:
            check_settings(plan.name, attrs["settings"], self.settings)
            study.keep_files()
            return
        # Optuna's samplers know the quality as its loss, which is minimized as the costs are.
        loss = (
            plan.objective.quality if self.reference.quality is None else f"loss_of_{plan.objective.quality}"
        )
        name_metrics(study.study, (loss, *plan.objective.costs))
        study.set_attrs(
            objective=plan.objective.settings(),
            protocol=to_mapping(plan.protocol),
            network=to_mapping(plan.network),
            workload=to_mapping(plan.workload),
            price=to_mapping(plan.prices),
            target=to_mapping(plan.target),
            lowerings=to_mapping(plan.space.lowerings),
            command=self.command,
            created=time.time(),
            reference={
                "unigram_perplexity": self.reference.unigram_perplexity,
                "quality": self.reference.scale.name,
                "worst": self.reference.scale.worst,
                "costs": dict(self.reference.costs),
                "baseline": to_mapping(self.reference.baseline),
            },
            # Last: a study that has them has everything.
            settings=dict(self.settings),
        )

    def run(
        self,
        study: Study,
        compose: Callable[[Sequence[str]], Candidate],
        launch: Launch,
        watch: Callable[[Study, Tracker, str], AbstractContextManager[object]],
    ) -> Front:
        """Train until the budget is used; returns the final front.

        Args:
            compose: from a worker's overrides to a candidate; picklable.
            launch: places that many copies of the worker and waits for them.
            watch: shows the study while it runs.

        Raises:
            AeroSearchError: workers died again and again.
        """
        tracker = open_tracker(self.plan.tracking, self.plan.output_dir)
        tracker.initialize()
        parent_run = self._parent_run(study, tracker)
        varied = list(dict.fromkeys(p.override for p in self.plan.space.parameters))
        always = list(dict.fromkeys(p.override for p in self.plan.space.parameters if not p.when))
        objective = self.plan.objective
        tracker.present(self.plan.name, objective.metrics, varied, always, objective.quality in MAXIMIZED)
        worker = Worker(
            self.plan, compose, parent_run, os.getpid(), socket.gethostname(), launch_id=self.launch_id
        )
        status: StudyStatus = "FAILED"
        try:
            with watch(study, tracker, parent_run):
                self._keep_going(study, worker, launch)
            status = "FINISHED"
        except KeyboardInterrupt:
            # Without the seeds that were still to come a study is what its budget asked for.
            status = "FINISHED" if self._all_trained(study) else "KILLED"
            raise
        finally:
            for run in study.orphaned_runs():
                tracker.abandon(run)
            tracker.finish_study(parent_run, status)
        return self.front(study.records())

    def _all_trained(self, study: Study) -> bool:
        """Whether every candidate of the budget has ended, whatever is left of `search.confirm`."""
        records = study.records()
        planned = study.planned(self.plan.search, self.plan.only_queued)
        return len(records) >= planned and all(record.state != "running" for record in records)

    def utilization(self, study: Study) -> Utilization | None:
        """How much of their time the workers of this run trained; None where they ended nothing."""
        trials = study.study.get_trials(deepcopy=False)
        return utilization(trials, self.launch_id, self.plan.search.workers)

    def front(self, records: Sequence[Record]) -> Front:
        """The front of these records under the plan's objective."""
        return build_front(records, self.plan.objective, self.reference, self.plan.target)

    def _keep_going(self, study: Study, worker: Worker, launch: Launch) -> None:
        spec, only_queued = self.plan.search, self.plan.only_queued
        alone = replace(worker, plan=replace(self.plan, only_queued=True))
        keep_going(
            study,
            lambda: study.left(spec, only_queued) or self._follow_up(study) or self._confirm(study),
            spec.workers,
            lambda count: launch(worker, count),
            lambda count: launch(replace(alone, limit=count), 1),
            worker.launch_id,
        )

    def _follow_up(self, study: Study) -> int:
        """Queue what follows from the trained candidates; returns how many are now to be claimed."""
        if self.follow_up is None:
            return 0
        study.enqueue(self.follow_up(study.records()))
        return study.left(self.plan.search, self.plan.only_queued)

    def _confirm(self, study: Study) -> int:
        """Queue a further seed of what is undecided about the front; returns how many are to be claimed."""
        spec = self.plan.search
        if not spec.confirm or self.plan.only_queued:
            return 0
        study.confirm(to_confirm(study.records(), self.plan.objective, self.reference), spec.confirm)
        return study.left(spec)

    def _parent_run(self, study: Study, tracker: Tracker) -> str:
        known: str = study.study.user_attrs.get("run", "")
        if known and tracker.resume_study(known):
            return known
        run = tracker.start_study(
            self.plan.name,
            description_markdown=f"Study {code(self.plan.name)}, started with\n\n{code_block(self.command)}",
            # The space is in the description, and the protocol's hundreds of constants in a file.
            params={k: v for k, v in self.settings.items() if _is_param(k)},
            tags={"study": self.plan.name},
        )
        study.set_attrs(run=run)
        return run


def _is_param(name: str) -> bool:
    return name == "protocol.name" or not name.startswith(("space.", "protocol."))


class WorkerDiedError(AeroSearchError):
    """A worker's process ended without finishing its work.

    Attributes:
        by_itself: it did not end those that were placed with it; they may still work, and nobody waits for them.
    """

    def __init__(self, message: str, by_itself: bool = False) -> None:
        super().__init__(message)
        self.by_itself = by_itself


def keep_going(
    queue: TrialQueue,
    left: Callable[[], int],
    workers: int,
    launch: Callable[[int], None],
    launch_alone: Callable[[int], None] | None = None,
    launch_id: str = "",
) -> None:
    """Place workers until nothing is left to claim; those that were killed are replaced.

    A launcher may end all workers when one dies. When several trials were lost at once, one worker takes them
    alone: the next death tells which trial kills. Another leaves the others at work: those that hold a trial, or
    did when they died and are not yet known to be dead, are not replaced.

    Args:
        launch: places that many workers and waits for them.
        launch_alone: places one that takes so many of the queued trials.
        launch_id: of the workers that are placed, see `WorkerLease`.

    Raises:
        AeroSearchError: workers died again and again, and none finished anything in between.
    """
    deaths, finished, lost, unseen = 0, queue.completed(), 0, False
    queue.requeue_stale()
    while True:
        count = left()
        free = workers - queue.training(launch_id) if unseen else workers
        if not count or free < 1:
            if not count and not queue.training():
                return
            # Out of sight, as on another machine; their trials come to us if they die.
            time.sleep(_LOOK_SECONDS)
            queue.requeue_stale()
            continue
        try:
            if launch_alone is not None and lost > 1 and workers > 1:
                launch_alone(lost)
            else:
                launch(min(free, count))
            lost = 0
        except WorkerDiedError as death:
            done = queue.completed()
            deaths, finished = (1 if done > finished else deaths + 1), done
            if deaths > _RELAUNCHES:
                raise AeroSearchError(
                    f"workers died {deaths} times and finished nothing, last: {death}; the same command resumes"
                ) from death
            unseen = unseen or death.by_itself
            lost = 0 if death.by_itself else queue.training()
        # What a dead worker held counts as left again, also where it was the last of the budget.
        queue.requeue_stale()
