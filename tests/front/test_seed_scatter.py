"""How far a seed moves perplexity: the posterior by hand, its limits, and what shared seeds are worth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aero_search.front.seed_scatter import (
    COMMON,
    KNOWN_FREEDOM,
    KNOWN_SPREAD,
    TIE,
    Scatter,
    effective_freedom,
)
from tests.front.test_front_membership import record


def test_the_posterior_by_hand() -> None:
    """Two pairs, ln(44 / 40) and ln(63 / 60) apart: s^2 = (0.09531^2 + 0.04879^2) / 4."""
    found = Scatter.of([record(0, 40.0, 44.0), record(1, 60.0, 63.0), record(2, 70.0)])
    assert found.pairs == 2
    assert found.measured == pytest.approx(0.053536, abs=1e-6)
    assert found.freedom == pytest.approx(10 + 1.86411, abs=1e-5)  # 2 / (1 + 0.27^2)
    # (10 x 0.0095^2 + 1.86411 x 0.053536^2) / 11.86411 = 5.2639e-4
    assert found.spread == pytest.approx(0.022943, abs=1e-6)


def test_without_repetitions_it_is_what_is_known() -> None:
    assert Scatter.of([record(0, 40.0), record(1, 41.0)]) == Scatter(KNOWN_SPREAD, KNOWN_FREEDOM, None, 0)
    # So far apart, one in ten single seeds of two networks stand the wrong way round: below a tie, and not far.
    assert 0.9 * TIE < 1.3722 * KNOWN_SPREAD * math.sqrt(2) < TIE


@given(st.lists(st.lists(st.floats(30.0, 60.0), min_size=2, max_size=4), min_size=1, max_size=6))
def test_it_lies_between_what_is_known_and_what_was_measured(seeds: list[list[float]]) -> None:
    found = Scatter.of([record(i, *values) for i, values in enumerate(seeds)])
    assert found.measured is not None
    low, high = sorted((found.measured, KNOWN_SPREAD))
    assert low * (1 - 1e-9) <= found.spread <= high * (1 + 1e-9)
    assert KNOWN_FREEDOM < found.freedom <= KNOWN_FREEDOM + found.pairs + 1e-9


def test_more_seeds_alike_bring_it_nearer_to_what_they_say() -> None:
    spreads = [Scatter.of([record(0, *[40.0, 40.1] * k)]).spread for k in (1, 2, 8)]
    assert KNOWN_SPREAD > spreads[0] > spreads[1] > spreads[2] > 0.001


def test_what_shared_seeds_are_worth_in_closed_form() -> None:
    assert effective_freedom([2, 3, 4], common=0.0) == pytest.approx(6.0)
    assert effective_freedom([3] * 8, common=COMMON) == pytest.approx(16 / (1 + 7 * COMMON**2))
    # Networks that move as one are one network.
    assert effective_freedom([3] * 8, common=1.0) == pytest.approx(2.0)


def test_shared_seeds_are_worth_what_sums_of_squares_scatter_by() -> None:
    """A sum of squares with nu degrees of freedom has a relative variance of 2 / nu."""
    rng, seeds, draws = np.random.default_rng(0), [2, 2, 3, 4, 4, 4], 100_000
    shared = math.sqrt(COMMON) * rng.standard_normal((draws, 1, max(seeds)))
    logs = shared + math.sqrt(1 - COMMON) * rng.standard_normal((draws, len(seeds), max(seeds)))
    squares = sum(k * logs[:, i, :k].var(axis=1) for i, k in enumerate(seeds))
    assert squares.mean() == pytest.approx(13.0, rel=0.01)
    assert 2 * squares.mean() ** 2 / squares.var() == pytest.approx(effective_freedom(seeds), rel=0.03)
