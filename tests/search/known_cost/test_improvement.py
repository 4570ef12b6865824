"""The closed form against what it replaces: sampling, integration on a grid, and moocore's hypervolume."""

from __future__ import annotations

from itertools import pairwise

import moocore
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from aero_search.front.pareto import nondominated
from aero_search.search.known_cost.improvement import decompose, log_expected_improvement, log_h

Array = npt.NDArray[np.float64]
# Coarse, so that equal coordinates and dominated rows are met; some lie outside the reference of 1.
coordinates = st.integers(0, 11).map(lambda i: i / 10)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, Array, float, float]:
    """A front of 2 to 4 metrics, the costs of a new point, and the prediction of its value."""
    m = draw(st.integers(2, 4))
    rows = draw(st.lists(st.tuples(*[coordinates] * m), max_size=8))
    costs = draw(st.tuples(*[coordinates] * (m - 1)))
    mean, sd = draw(st.floats(-0.5, 1.5)), draw(st.floats(0.01, 0.6))
    return np.array(rows, dtype=float).reshape(len(rows), m), np.array(costs), mean, sd


def volume(rows: Array) -> float:
    """What rows dominate below 1."""
    inside = rows[(rows < 1).all(axis=1)]
    return float(moocore.hypervolume(inside, ref=np.ones(rows.shape[1]))) if len(inside) else 0.0


def gain(front: Array, costs: Array, value: float) -> float:
    """How much a point adds to the dominated volume."""
    return volume(np.vstack([front, [[value, *costs]]])) - volume(front)


def closed(front: Array, costs: Array, mean: float, sd: float) -> float:
    boxes = decompose(front, np.ones(front.shape[1]))
    return float(np.exp(log_expected_improvement(boxes, costs[None], np.array([mean]), np.array([sd])))[0])


@given(cases())
def test_a_sure_value_gains_what_moocore_says(case: tuple[Array, Array, float, float]) -> None:
    front, costs, mean, _ = case
    assert closed(front, costs, mean, 1e-9) == pytest.approx(gain(front, costs, mean), abs=1e-8)


@given(cases())
@settings(max_examples=25)
def test_it_equals_monte_carlo_within_its_error(case: tuple[Array, Array, float, float]) -> None:
    front, costs, mean, sd = case
    values = np.random.default_rng(0).normal(mean, sd, 400)
    gains = np.array([gain(front, costs, value) for value in values])
    # Six standard errors, and something for the rare gain that no sample has met.
    slack = 6 * gains.std() / np.sqrt(len(gains)) + 5e-3 * sd
    assert closed(front, costs, mean, sd) == pytest.approx(gains.mean(), abs=slack)


@given(cases())
@settings(max_examples=20)
def test_it_equals_the_integral_taken_piece_by_piece(case: tuple[Array, Array, float, float]) -> None:
    front, costs, mean, sd = case
    inside = front[(front < 1).all(axis=1)]
    corners = np.unique([*inside[:, 0], 1.0, mean - 9 * sd])
    pieces = [
        quad(lambda y: gain(front, costs, y) * norm.pdf(y, mean, sd), low, high, epsabs=1e-9, limit=200)[0]
        for low, high in pairwise(corners)
        if high > mean - 9 * sd
    ]
    assert closed(front, costs, mean, sd) == pytest.approx(sum(pieces), abs=1e-6)


@given(cases())
def test_boxes_fill_the_space_once_with_the_best_value_in_each(
    case: tuple[Array, Array, float, float],
) -> None:
    front, _, _, _ = case
    boxes = decompose(front, np.ones(front.shape[1]))
    # Cell centres between the coarse coordinates.
    for centre in np.random.default_rng(1).integers(0, 10, (20, front.shape[1] - 1)) / 10 + 0.05:
        (at,) = np.flatnonzero(((boxes.low <= centre) & (centre < boxes.high)).all(axis=1))
        cheaper = front[(front[:, 1:] <= centre).all(axis=1), 0]
        assert boxes.best[at] == min(cheaper.min(initial=1.0), 1.0)


def test_costs_beyond_the_reference_gain_nothing() -> None:
    boxes = decompose(np.array([[0.5, 0.5, 0.5]]), np.ones(3))
    gains = log_expected_improvement(
        boxes, np.array([[1.0, 0.1], [0.2, 1.3], [0.2, 0.2]]), np.full(3, 0.1), np.full(3, 0.1)
    )
    assert np.isneginf(gains[:2]).all()
    assert np.isfinite(gains[2])


def test_hopeless_values_keep_their_order() -> None:
    boxes = decompose(np.array([[0.1, 0.1]]), np.ones(2))
    mean = np.array([1.0, 2.0, 5.0, 1e3, 1e4])
    gains = log_expected_improvement(boxes, np.full((5, 1), 0.2), mean, np.full(5, 1e-3))
    assert np.isfinite(gains).all()
    assert (np.diff(gains) < 0).all()


def test_log_h_is_the_expectation_it_stands_for() -> None:
    z = np.array([-30.0, -8.0, -3.0, -1.0, -0.999, 0.0, 2.0, 40.0])
    # E[max(z - X, 0)] by integration over the shortfall, whose factor exp(-z^2/2) is taken out on the left.
    for value, got in zip(z, log_h(z), strict=True):
        if value < 0:
            tail = quad(lambda t, v=value: t * np.exp(v * t - t * t / 2), 0, np.inf)[0]
            expected = np.log(tail) + norm.logpdf(value)
        else:
            expected = np.log(norm.pdf(value) + value * norm.cdf(value))
        assert got == pytest.approx(expected, rel=1e-9)


def test_log_h_goes_over_smoothly_from_form_to_form() -> None:
    for seam in (-1.0, -1e4):
        z = seam * (1 + np.array([-1e-9, 1e-9]))
        slope = -seam if seam < -1 else 1.0 / 0.08
        left, right = log_h(z)
        assert abs(left - right) <= 4 * slope * abs(z[0] - z[1]) + 1e-6


def test_dominated_rows_change_nothing() -> None:
    rng = np.random.default_rng(0)
    front = rng.uniform(size=(40, 3))
    costs, mean, sd = rng.uniform(size=(30, 2)), rng.uniform(size=30), np.full(30, 0.1)
    every = log_expected_improvement(decompose(front, np.ones(3)), costs, mean, sd)
    best = log_expected_improvement(decompose(front[nondominated(front)], np.ones(3)), costs, mean, sd)
    np.testing.assert_allclose(every, best, rtol=1e-12)
