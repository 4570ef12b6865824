"""Which parameters matter, by PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255) as Optuna implements it.

Of Optuna's evaluators it alone handles conditional parameters and several objectives, needs no more than numpy and
fits no forest: 20 to 1,000 trials take milliseconds.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

METHOD = "PED-ANOVA (arXiv 2304.10255)"
# Optuna advises at least 5 trials among the best; with fewer than twice as many there is no rest to compare with.
_BEST, _FEWEST = 5, 10
# The share of the trials that count as the best, where there are enough: PED-ANOVA's own default.
_SHARE = 0.1


@dataclass(frozen=True)
class Importances:
    """Shares by parameter, that sum to 1, largest first; both empty where there are too few trials.

    Attributes:
        front: what decides whether a candidate is among the best in all metrics, by non-domination.
        perplexity: what decides whether its perplexity is.
        trials: how many were looked at.
        best: how many of them count as the best.
    """

    front: Mapping[str, float]
    perplexity: Mapping[str, float]
    trials: int
    best: int


def importances(study: optuna.Study) -> Importances:
    """The importances of a study's varied parameters."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    best = max(_BEST, math.ceil(_SHARE * len(trials)))
    if len(trials) < _FEWEST:
        return Importances({}, {}, len(trials), 0)
    evaluator = PedAnovaImportanceEvaluator(target_quantile=best / len(trials))
    with warnings.catch_warnings():
        # It reminds everyone with a target that low values count as good; low perplexities are.
        warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes the importances")
        perplexity = get_param_importances(study, evaluator=evaluator, target=_perplexity)
    return Importances(
        front=_shares(get_param_importances(study, evaluator=evaluator)),
        perplexity=_shares(perplexity),
        trials=len(trials),
        best=best,
    )


def _perplexity(trial: FrozenTrial) -> float:
    return float(trial.values[0])


def _shares(found: Mapping[str, float]) -> dict[str, float]:
    return {name: share for name, share in found.items() if math.isfinite(share)}
