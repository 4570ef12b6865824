"""A sampler that proposes the last alternative first."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial

from aero_search.plugins import Options


def make(seed: int, options: Options) -> optuna.samplers.BaseSampler:
    """A sampler for one trial; `seed` differs from trial to trial, `options` are those of `search.sampler`."""
    return Descending(seed, int(options["skip"]))


class Descending(optuna.samplers.RandomSampler):
    """Counts down the alternatives of each choice, one a trial; everything else is random."""

    def __init__(self, seed: int, skip: int) -> None:
        super().__init__(seed)
        self._skip = skip

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if isinstance(param_distribution, CategoricalDistribution):
            choices = param_distribution.choices
            return choices[-1 - (trial.number + self._skip) % len(choices)]
        return super().sample_independent(study, trial, param_name, param_distribution)
