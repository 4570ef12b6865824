"""Limits of an objective: what is above one costs nothing, and is counted with its reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState

from aero_search.architecture import Architecture
from aero_search.errors import RequestError
from aero_search.front.document import front_document
from aero_search.front.front import build_front
from aero_search.front.objective import Constraint, Objective, known_costs
from aero_search.front.pareto import Reference
from aero_search.front.pricing import Price
from aero_search.search.settings import check_settings
from aero_search.search.study import Study
from aero_search.space import Categorical
from aero_search.workers.database import create_study, open_storage
from aero_search.workers.trial_queue import FileLease
from tests.config.told_study import request_of
from tests.search.fakes import OBJECTIVE, SPACE, compose, costs, open_study, price, spec, trained


def limited(**limits: float | str) -> Objective:
    return replace(OBJECTIVE, constraints={metric: Constraint(limit) for metric, limit in limits.items()})


def limited_study(folder: Path, objective: Objective) -> Study:
    created = create_study(open_storage(folder), "limited", objective.metrics)
    return Study(created, objective, folder / "limited", price)


def test_limits_are_read_with_their_units() -> None:
    objective = limited(communication_bytes="2 GB", latency_s="1.5 min")
    assert objective.limits == {"communication_bytes": 2e9, "latency_s": 90.0}
    assert objective.over({"communication_bytes": 2e9, "latency_s": 90.0}) == ""
    over = objective.over({"communication_bytes": 2.1e9, "latency_s": 91.0})
    assert over == "communication_bytes above 2 GB, latency_s above 1.5 min"


@pytest.mark.parametrize(
    ("metric", "limit", "says"),
    [
        ("perplexity", "60", "only costs are known before training"),
        ("latency", "1 s", r"objective\.constraints\.latency is not a cost: did you mean 'latency_s'"),
        ("latency_s", "1 gb", r"objective\.constraints\.latency_s\.max=1 gb has the unit gb"),
    ],
)
def test_bad_limits_are_told_by_name(metric: str, limit: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        limited(**{metric: limit})


def test_an_infeasible_architecture_uses_no_budget_and_is_told_with_its_reason(tmp_path: Path) -> None:
    # latency is 1 + layers with a full feed-forward + layers with a norm, of 2: 1, 3 or 5.
    study = limited_study(tmp_path, limited(latency_s="3 s"))
    with FileLease(study.folder / "workers") as lock:
        while claim := study.claim(lock, spec(7), SPACE, compose):
            assert costs(claim.candidate.architecture)["latency_s"] <= 3
            study.tell(claim.trial.number, trained(claim.candidate))
    assert study.used() == len(study.records()) == 7
    over = study.over()
    assert set(over) == {"latency_s above 3 s"}
    told = [trial for trial in study.study.trials if "over" in trial.user_attrs]
    assert len(told) == over.total() > 0
    assert all(trial.state == TrialState.FAIL for trial in told)
    assert all(trial.user_attrs["costs"]["latency_s"] > 3 for trial in told)


def test_a_limit_that_nothing_keeps_ends_the_search_without_a_training(tmp_path: Path) -> None:
    study = limited_study(tmp_path, limited(latency_s="1 ms"))
    space = SPACE.with_parameters(Categorical("ffn", ("full", "fused")))
    with FileLease(study.folder / "workers") as lock:
        assert study.claim(lock, spec(1), space, compose) is None
    assert study.used() == 0
    assert study.over().total() >= 500


def test_a_queued_point_above_a_limit_is_skipped(tmp_path: Path) -> None:
    study = limited_study(tmp_path, limited(flops="11"))
    point = {"norm": "none", "ffn": "full", "activation": "gelu", "lr": 0.001}
    study.enqueue([point, {"norm": "none", "ffn": "fused", "lr": 0.001}])
    with FileLease(study.folder / "workers") as lock:
        claim = study.claim(lock, spec(9), SPACE, compose, only_queued=True)
        assert claim is not None
        assert claim.candidate.architecture.layers[0].ffn == "fused"
        study.tell(claim.trial.number, trained(claim.candidate))
        assert study.claim(lock, spec(9), SPACE, compose, only_queued=True) is None


def test_a_front_leaves_out_what_is_above_a_limit(tmp_path: Path) -> None:
    study = open_study(tmp_path)
    with FileLease(study.folder / "workers") as lock:
        while claim := study.claim(lock, spec(8), SPACE, compose):
            study.tell(claim.trial.number, trained(claim.candidate))
    reference = Reference(200.0, {"latency_s": 5.0, "flops": 18.0})
    free = build_front(study.records(), OBJECTIVE, reference)
    narrow = build_front(study.records(), limited(latency_s="3 s"), reference)
    assert not free.over
    assert {r.number for r in narrow.over} == {r.number for r in study.records() if r.costs["latency_s"] > 3}
    assert narrow.over
    assert all(r.costs["latency_s"] <= 3 for r in (*narrow.points, *narrow.dominated))
    assert front_document(narrow)["limits"] == {"latency_s": 3.0}
    assert len(front_document(narrow)["above_limits"]) == len(narrow.over)


def test_equal_limits_in_other_units_are_the_same_study() -> None:
    one, two = limited(communication_bytes="2 GB"), limited(communication_bytes="2000 MB")
    assert one.settings() == two.settings()
    with pytest.raises(RequestError, match="made with constraints"):
        check_settings("s", _flat(one), _flat(limited(communication_bytes="3 GB")))


def _flat(objective: Objective) -> dict[str, object]:
    return {"constraints": objective.settings()["constraints"]["communication_bytes"]["max"]}


def test_a_candidate_is_priced_once_from_ask_to_tell(tmp_path: Path) -> None:
    """Under a sampler that looks at no costs of its own."""
    priced: list[Architecture] = []

    def counted(architecture: Architecture) -> Price:
        priced.append(architecture)
        return Price(costs(architecture), {"seconds_by_part/softmax": 1.0})

    created = create_study(open_storage(tmp_path), "once", OBJECTIVE.metrics)
    study = Study(created, OBJECTIVE, tmp_path / "once", counted)
    with FileLease(study.folder / "workers") as lock:
        claim = study.claim(lock, spec(1), SPACE, compose)
        assert claim is not None
        figures = claim.priced.price.figures
        assert figures == {**costs(claim.candidate.architecture), "seconds_by_part/softmax": 1.0}
        study.tell(claim.trial.number, trained(claim.candidate))
    assert priced.count(claim.candidate.architecture) == 1
    (record,) = study.records()
    assert record.costs == costs(claim.candidate.architecture)


def test_one_estimate_has_the_metrics_and_their_parts() -> None:
    request = request_of()
    pricing = request.pricing
    a = request.architecture
    price = pricing.price(a)
    assert price.costs == pricing(a) == known_costs(a, pricing.protocol, pricing.network)
    for metric, parts in (("latency_s", "seconds_by_part/"), ("communication_bytes", "bytes_by_part/")):
        total = sum(value for name, value in price.parts.items() if name.startswith(parts))
        assert total == pytest.approx(price.costs[metric])
