"""An Optuna sampler for studies whose costs are known before training and whose first metric is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from aero_search.front.pareto import Reference
from aero_search.search.known_cost.domain import Domain
from aero_search.search.known_cost.history import History, read_history


class KnownCostSampler(BaseSampler):
    """Proposes the point with the largest expected gain in hypervolume, costs being exact.

    The metrics of the study are (value, cost, ...), all minimized, the value above 0 and modelled by its logarithm.
    A study with another number of metrics, and parameters that the domain does not have, are drawn at random.

    Args:
        domain: the points that may be proposed.
        seed: of this sampler's draws; with the same trials, the same proposal.
        n_startup: trials before the model is used: the cheapest network, then ones far from each other.
        per_second: weigh the gain by the predicted seconds of training.
    """

    def __init__(
        self, domain: Domain, seed: int | None = None, n_startup: int = 4, per_second: bool = False
    ) -> None:
        self._domain = domain
        self._n_startup = n_startup
        self._per_second = per_second
        self._rng = np.random.default_rng(seed)
        self._random = RandomSampler(seed=seed)

    def reseed_rng(self) -> None:
        """What Optuna calls where it has copied the sampler."""
        self._rng = np.random.default_rng()
        self._random.reseed_rng()

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Every parameter of the domain."""
        return self._domain.distributions if self._concerns(study) else {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The proposal, without the parameters that do not count in it."""
        own = self._domain.distributions
        proposed = self.propose(study, trial) if self._concerns(study) else {}
        values = {name: value for name, value in proposed.items() if search_space.get(name) == own[name]}
        foreign = {name: d for name, d in search_space.items() if name not in own or own[name] != d}
        return values | {
            name: self._random.sample_independent(study, trial, name, d) for name, d in foreign.items()
        }

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value: for parameters that the domain does not have."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def propose(self, study: optuna.Study, trial: FrozenTrial) -> Mapping[str, Any]:
        """The next assignment; empty where every point that was looked at is known."""
        fixed = {
            name: value
            for name, value in trial.system_attrs.get("fixed_params", {}).items()
            if name in self._domain.distributions
        }
        trials = study.get_trials(deepcopy=False)
        history = read_history(trials, self._domain, len(study.directions), trial.number)
        known = sum(map(len, (history.finished, history.failed, history.pending, history.stopped)))
        # Heavy to import, and a search that another sampler leads never needs them.
        from aero_search.search.known_cost.proposal import cheapest, most_improving, most_remote

        reference = _reference(study, history)
        if known >= self._n_startup:
            point = most_improving(self._domain, history, reference, self._rng, fixed, self._per_second)
        else:
            point = cheapest(self._domain, history, reference, self._rng, fixed)
        point = point or most_remote(self._domain, history, self._rng, fixed)
        return point.assignment if point else {}

    def _concerns(self, study: optuna.Study) -> bool:
        directions = study.directions
        minimized = all(d == optuna.study.StudyDirection.MINIMIZE for d in directions)
        return minimized and len(directions) == 1 + self._domain.n_costs


def _reference(study: optuna.Study, history: History) -> Reference:
    """The box in which the study measures its hypervolume; one that holds every trial where it names none."""
    said = study.user_attrs.get("reference")
    if said is not None:
        return Reference(said["unigram_perplexity"], said["costs"])
    worst = history.rows.max(axis=0, initial=0.0) if history.finished else np.ones(len(study.directions))
    return Reference(max(1.1 * worst[0], 2.0), {str(i): cost or 1.0 for i, cost in enumerate(worst[1:])})
