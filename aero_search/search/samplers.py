"""The samplers, seeded by turn so that a resumed study goes on as an uninterrupted one would."""

from __future__ import annotations

import warnings
import zlib

import optuna
from optuna.exceptions import ExperimentalWarning

from aero_search.errors import RequestError
from aero_search.plugins import Entry
from aero_search.search.known_cost.domain import Domain
from aero_search.search.spec import SAMPLERS, SamplerSpec


def make_sampler(
    spec: SamplerSpec, seed: int, turn: int, domain: Domain | None = None
) -> optuna.samplers.BaseSampler:
    """The sampler that proposes the trial whose turn is `turn` in a study with sampler seed `seed`.

    Each turn has a generator of its own: what is drawn depends on the seed, the turn and the trials before it,
    not on how often the search was interrupted.

    Args:
        domain: what can be known of the space's points; known_cost needs it.
    """
    trial_seed = zlib.crc32(f"{seed}/{turn}".encode())
    with warnings.catch_warnings():
        # `group` lets the multivariate estimator follow conditional parameters; still marked experimental.
        warnings.simplefilter("ignore", ExperimentalWarning)
        if spec.name == "tpe":
            return optuna.samplers.TPESampler(
                multivariate=True, group=True, n_startup_trials=spec.n_startup, seed=trial_seed
            )
        if spec.name == "nsga2":
            return optuna.samplers.NSGAIISampler(population_size=spec.population_size, seed=trial_seed)
        if spec.name == "gp":
            return optuna.samplers.GPSampler(n_startup_trials=spec.n_startup, seed=trial_seed)
        if spec.name == "known_cost":
            if domain is None:
                raise RequestError(
                    "sampler=known_cost knows what architectures cost; for a function of your own take tpe"
                )
            # scikit-learn takes a second to import, and only this sampler needs it.
            from aero_search.search.known_cost.sampler import KnownCostSampler

            return KnownCostSampler(domain, trial_seed, spec.n_startup, spec.per_second)
        if (entry := SAMPLERS.entry(spec.name)) is not None:
            return _plugin_sampler(entry, trial_seed, spec)
        return optuna.samplers.RandomSampler(seed=trial_seed)


def _plugin_sampler(entry: Entry, seed: int, spec: SamplerSpec) -> optuna.samplers.BaseSampler:
    """What the plug-in makes of the seed and its options."""
    made = entry.call(seed, spec.options)
    if not isinstance(made, optuna.samplers.BaseSampler):
        raise entry.fault(f"it returns a {type(made).__name__} where an Optuna sampler is needed")
    return made
