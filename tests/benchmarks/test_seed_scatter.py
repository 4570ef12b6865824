"""How far seeds scatter: made-up trainings are found again; the committed ones are what the front starts from."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aero_search.front.seed_scatter import COMMON, KNOWN_FREEDOM, KNOWN_SPREAD
from benchmarks.seed_scatter import TwoWay, fresh, measured, report, two_way
from benchmarks.tabular.rows import Row


def row(network: int, seed: int, log: float | None) -> Row:
    told = None if log is None else math.exp(log)
    verdict = "finished" if told else "diverged"
    overrides = (f"ffn.layers={network}", f"recipe.seed={seed}")
    return Row(overrides, "SM", seed, verdict, told, 10.0, 100, 1000, ())  # type: ignore[arg-type]


def test_what_is_common_is_told_from_what_is_not_by_hand() -> None:
    """Deviations (-2, 2) and (-1, 1) %: MS_s = 2 (1.5^2 + 1.5^2) = 9, MS_e = 4 x 0.5^2 = 1, so b = 4 and e = 1."""
    rows = [
        row(0, 0, 3.98),
        row(0, 1, 4.02),
        row(1, 0, 2.99),
        row(1, 1, 3.01),
        row(2, 0, 3.0),
        row(2, 1, None),
    ]
    found = two_way(rows, (0, 1))
    assert len(found.names) == 2
    assert found.squares == pytest.approx((9e-4, 1e-4))
    assert found.common == pytest.approx(0.8)
    assert found.spread == pytest.approx(math.sqrt(10e-4 / 2))
    assert found.freedom == pytest.approx(2 / 1.64)
    assert found.chance == pytest.approx(0.2048, abs=1e-4)  # of |t| > 3 with one degree of freedom


def test_seeds_that_have_nothing_in_common_count_in_full() -> None:
    rng = np.random.default_rng(1)
    found = TwoWay(0.01 * rng.standard_normal((4000, 3)), ("SM",) * 4000)
    assert found.common < 1e-3
    assert found.spread == pytest.approx(0.01, rel=0.05)


def test_the_front_starts_from_the_committed_measurement() -> None:
    found = fresh()
    assert len(found.names) == 8
    assert round(found.spread, 4) == KNOWN_SPREAD
    assert math.floor(found.freedom) == KNOWN_FREEDOM
    assert round(found.common, 2) == COMMON
    assert "one seed scatters by 0.95 %" in report(measured())
