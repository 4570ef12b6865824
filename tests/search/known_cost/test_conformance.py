"""Optuna's own conformance tests, as far as they apply: all but those for samplers that refuse many objectives.

They suggest parameters that the domain does not have, too, so they cover both a proposal's values and the random
ones that stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from aero_search.search.known_cost.sampler import KnownCostSampler
from tests.search.known_cost.worlds import SPACE, decode, domain, new_study, perplexity, price


class TestKnownCostSampler(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: KnownCostSampler(domain(), seed=0, n_startup=2)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_it_serves_optuna_s_own_loop_with_foreign_parameters_beside_its_own(n_jobs: int) -> None:
    study = new_study()
    study.sampler = KnownCostSampler(domain(), seed=0, n_startup=2)

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        assignment = SPACE.suggest(trial)
        assert 0 <= trial.suggest_float("foreign", 0, 1) <= 1
        candidate = decode(assignment)
        return (perplexity(candidate), *price([candidate.architecture])[0])

    study.optimize(objective, n_trials=8, n_jobs=n_jobs)
    assert len(study.trials) == 8
    asked = {tuple(t.params[n] for n in t.params if n != "foreign") for t in study.trials}
    # Threads ask without a claim's lock, so both may look before either has drawn.
    assert len(asked) == 8 if n_jobs == 1 else len(asked) >= 4


def test_relative_parameters_are_the_proposal_and_what_was_asked_beside_it() -> None:
    study = new_study()
    sampler = KnownCostSampler(domain(), seed=0)
    trial = study.ask()
    space = {
        **sampler.infer_relative_search_space(study, trial),
        "x": optuna.distributions.IntDistribution(3, 9, step=2),
    }
    values = sampler.sample_relative(study, study.get_trials()[0], space)
    assert values["x"] in (3, 5, 7, 9)
    assert decode({name: value for name, value in values.items() if name != "x"})
