"""Trainings beside what samplers propose: stopped candidates that go on, candidates repeated with other seeds.

Both are queued as trials of their own, with what they are in their attributes, so that they survive their worker.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from aero_search.front.objective import Objective
from aero_search.front.quality import QualityScale
from aero_search.search.learning_curves import candidates, learning_curves
from aero_search.search.rungs import Decision, decide, reconsider
from aero_search.search.spec import RungsSpec
from aero_search.workers.trial_queue import CONFIRMS, RESUMES, RETRIES, SEED, TrialQueue, lost, quarantine
from aero_search.workers.worker_registry import WorkerRegistry

_SEED = "recipe.seed"


class ResumeAndReplicate(TrialQueue):
    """The part of a study that stops candidates at rungs, lets them go on, and repeats them.

    Args:
        objective: its costs are what the rungs compare.
        study, folder, registry, retries: see `TrialQueue`.
    """

    def __init__(
        self,
        study: optuna.Study,
        folder: Path,
        objective: Objective,
        registry: WorkerRegistry | None = None,
        retries: int = RETRIES,
    ) -> None:
        super().__init__(study, folder, registry, retries)
        self.objective = objective

    def report(self, number: int, curve: Sequence[tuple[int, float]]) -> None:
        """Remember the (step, loss) of a running training's validations."""
        self._set(self._trial(number)._trial_id, curve=[list(point) for point in curve])

    def judge(self, number: int, rungs: RungsSpec) -> Decision:
        """Whether a running training goes on after the last validation that it has reported."""
        known = learning_curves(candidates(self._trials()), self.objective.costs)
        own = next(training for training in known if training.number == number)
        # A training judges its plateau by perplexity itself.
        if self.scale.worst is None:
            return decide(rungs, own, known, self.scale.unigram_perplexity)
        return decide(rungs, own, known, math.inf, f"loss in {self.scale.name}")

    def confirm(self, numbers: Sequence[int], most: int) -> None:
        """Queue one further seed for each of these candidates, but for those that have had so many."""
        self._under_claim_lock(lambda: self._confirm(numbers, most))

    def _confirm(self, numbers: Sequence[int], most: int) -> None:
        trials = self._trials()
        known = {
            (t.user_attrs[CONFIRMS], t.user_attrs[SEED])
            for t in trials
            if CONFIRMS in t.user_attrs and not lost(t)
        }
        for number in numbers:
            base = trials[number]
            first = base.user_attrs["seed"] + 1
            missing = (seed for seed in range(first, first + most) if (number, seed) not in known)
            for seed in itertools.islice(missing, 1):
                self.study.enqueue_trial(base.params, user_attrs={CONFIRMS: number, SEED: seed})

    def waiting(self) -> int:
        """How many queued trainings go on with a stopped candidate, or repeat one."""
        return sum(map(_waits, self._trials()))

    def _resumable(self, rungs: RungsSpec) -> list[int]:
        """The stopped candidates that the rungs would not stop now, the most hopeful first."""
        trials = self._trials()
        known = candidates(trials)
        if not any(trial.state == TrialState.PRUNED for trial in known):
            return []
        # Queued already, or given up when it went on, because its workers died of it.
        taken = {t.user_attrs.get(RESUMES) for t in trials if t.state == TrialState.WAITING or quarantine(t)}
        return [n for n in reconsider(rungs, learning_curves(known, self.objective.costs)) if n not in taken]

    def _queue_stopped(self, rungs: RungsSpec) -> None:
        """Queue the stopped candidate that is to go on next, where nothing else is queued."""
        if any(trial.state == TrialState.WAITING for trial in self._trials()):
            return
        for number in self._resumable(rungs)[:1]:
            self.study.enqueue_trial(self._trial(number).params, user_attrs={RESUMES: number})

    @cached_property
    def scale(self) -> QualityScale:
        """How the study's quality is read as a loss."""
        return QualityScale.of(self.study.user_attrs.get("reference", {}))


def _waits(trial: FrozenTrial) -> bool:
    """Whether a trial waits to go on with a stopped candidate, or to repeat one."""
    return trial.state == TrialState.WAITING and not {RESUMES, CONFIRMS}.isdisjoint(trial.user_attrs)


def seeded(overrides: Sequence[str], seed: int | None) -> list[str]:
    """The overrides with another seed of the weights."""
    if seed is None:
        return list(overrides)
    return [*(line for line in overrides if line.partition("=")[0] != _SEED), f"{_SEED}={seed}"]
