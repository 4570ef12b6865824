"""One grammar for what may be spent: the limits of a search, and of a choice; older spellings beside it."""

from __future__ import annotations

import pytest

from aero_search.errors import RequestError
from aero_search.front.budget import Budget, Maxima
from aero_search.front.objective import Constraint, Objective

NONE = Maxima(None, None, None, None)


def test_amounts_are_read_with_their_units() -> None:
    budget = Budget("2 min", "2GB", "40 G", 5000, perplexity=60.0)
    expected = {
        "latency_s": 120.0,
        "communication_bytes": 2e9,
        "flops": 40e9,
        "rounds": 5000.0,
        "perplexity": 60.0,
    }
    assert budget.limits() == expected
    assert Budget().limits() == {}


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("latency_s", 30, r"budget\.latency_s=30 has no unit: .*as in 30 s"),
        (
            "communication_bytes",
            "2 gb",
            r"budget\.communication_bytes=2 gb has the unit gb: did you mean 'GB'",
        ),
        ("flops", "-1", r"budget\.flops=-1 must be a number above 0"),
        ("rounds", "5 k", r"budget\.rounds=5 k has a unit"),
        ("perplexity", 0.0, r"budget\.perplexity=0 must be above 0"),
    ],
)
def test_what_is_no_quantity_is_told_by_its_name(field: str, value: object, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        Budget(**{field: value})  # type: ignore[arg-type]


def test_a_search_has_its_budget_among_its_limits() -> None:
    objective = Objective(("perplexity", "latency_s"), {"flops": Constraint("40 G")})
    bounded = Budget(latency_s="30 s", flops="40000 M").bound(objective)
    assert bounded.limits == {"flops": 40e9, "latency_s": 30.0}
    # The same study, however its limits are written.
    spelled = {"flops": Constraint("40 G"), "latency_s": Constraint("0.5 min")}
    assert bounded.settings() == Objective(objective.metrics, spelled).settings()
    with pytest.raises(RequestError, match=r"budget\.flops and objective\.constraints\.flops\.max"):
        Budget(flops="1 G").bound(objective)
    with pytest.raises(RequestError, match=r"budget\.perplexity bounds no search"):
        Budget(perplexity=60.0).bound(objective)


def test_the_older_spellings_mean_the_same() -> None:
    old = Maxima(max_latency_s=30.0, max_comm_gb=2.0, max_flops=4e10, max_perplexity=60.0)
    assert old.limits(Budget()) == Budget("30 s", "2 GB", "40 G", None, perplexity=60.0).limits()
    assert NONE.limits(Budget("30 s")) == {"latency_s": 30.0}
    with pytest.raises(RequestError, match=r"max_comm_gb and budget\.communication_bytes say the same"):
        old.limits(Budget(communication_bytes="2 GB"))
