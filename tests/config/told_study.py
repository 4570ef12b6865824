"""A study as a search leaves it in its database, without any training: for commands that only look at one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from optuna.trial import TrialState, create_trial

from aero_search.app.study import baseline_reference
from aero_search.architecture import canonical, notation
from aero_search.config.hydra_main import read_request
from aero_search.config.paths import conf_dir
from aero_search.config.request import Request
from aero_search.schema import to_mapping
from aero_search.training.health import Unigram
from aero_search.workers.database import create_study, open_storage


@cache
def request_of(*overrides: str) -> Request:
    """What the command line with these overrides asks for."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        return read_request(compose("config", overrides=list(overrides)), overrides)


def tell_study(
    output_dir: Path,
    rows: Sequence[tuple[Sequence[str], float]],
    overrides: Sequence[str] = (),
    name: str = "told",
    **attrs: Any,
) -> None:
    """Write a study of finished candidates.

    Args:
        rows: overrides and perplexity of each candidate.
        overrides: of the study's request.
        attrs: of the study, in the place of what this version writes.
    """
    request = request_of(*overrides)
    reference = baseline_reference(request, [Unigram(math.log(420.0), 0.05)], request.pricing)
    study = create_study(open_storage(output_dir), name, request.objective.metrics)
    told: Mapping[str, Any] = {
        "settings": {},
        "objective": request.objective.settings(),
        "protocol": to_mapping(request.protocol),
        "network": to_mapping(request.network),
        "target": to_mapping(request.target),
        "command": "aero-search search",
        "created": 0.0,
        "reference": to_mapping(reference),
        **attrs,
    }
    for key, value in told.items():
        study.set_user_attr(key, value)
    for number, (own, perplexity) in enumerate(rows):
        a = canonical(request_of(*overrides, *own).architecture)
        costs = request.pricing(a)
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                values=[perplexity, *(costs[metric] for metric in request.objective.costs)],
                user_attrs={
                    "candidate": f"c{number}", "notation": notation(a), "architecture": to_mapping(a),
                    "overrides": list(own), "lr": 1e-3, "seed": 0, "steps": 10, "costs": costs,
                    "verdict": "finished", "reason": "", "perplexity": perplexity, "seconds": 1.0, "curve": [],
                },
            )
        )  # fmt: skip
