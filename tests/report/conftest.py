"""Fronts of the study in `studies`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from studies import COSTS, STUDY, record

from aero_search.front.front import Front, build_front
from aero_search.front.objective import Objective
from aero_search.front.pareto import Reference

MakeFront = Callable[..., Front]


@pytest.fixture(scope="session")
def make_front() -> MakeFront:
    """Builds the front of some of STUDY's rows for given costs."""

    def make(costs: tuple[str, ...] = ("latency_s", "flops"), rows: Any = STUDY) -> Front:
        records = [record(number, row) for number, row in enumerate(rows)]
        objective = Objective(("perplexity", *costs))  # type: ignore[arg-type]
        return build_front(records, objective, Reference(420.0, {name: COSTS[name] for name in costs}))

    return make
