"""What smaller stages say of a larger one: closed forms, coverage, and a single anchor."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t

from aero_search.search.stages.forecast import PRIOR, SCATTER, Forecast


def test_one_anchor_shifts_every_difference_as_it_is() -> None:
    said = Forecast(np.log([[40.0]]), np.log([30.0]))(np.log([44.0]))
    assert said.perplexity == pytest.approx(33.0)
    assert said.freedom == PRIOR
    # The anchor is on the line: only the prior's scatter, the constant's and the slope's count.
    slope = (0.3 * math.log(1.1)) ** 2
    scale = math.sqrt(2 * SCATTER**2 + slope)
    assert said.scale == pytest.approx(scale)
    low, high = said.interval()
    half = float(t.ppf(0.975, PRIOR)) * scale
    assert (low, high) == pytest.approx((33 * math.exp(-half), 33 * math.exp(half)))


def test_many_anchors_teach_slope_and_scatter() -> None:
    rng = np.random.default_rng(0)
    below = rng.normal(3.7, 0.15, (400, 2))
    above = 0.3 + 0.2 * below[:, 0] + 0.6 * below[:, 1] + rng.normal(0, 0.01, 400)
    said = Forecast(below, above)(np.array([3.6, 3.8]))
    assert said.mean == pytest.approx(0.3 + 0.2 * 3.6 + 0.6 * 3.8, abs=0.003)
    assert said.scale == pytest.approx(0.01, rel=0.15)


def test_intervals_hold_what_they_say() -> None:
    """Over worlds drawn from the model's own prior, a 95 % interval holds 95 % of the time."""
    rng = np.random.default_rng(1)
    held = []
    for _ in range(1500):
        variance = PRIOR * SCATTER**2 / rng.chisquare(PRIOR)
        # The slope's prior is a multiple of the scatter.
        slope = 1 + 0.3 / SCATTER * math.sqrt(variance) * rng.normal()
        below = rng.normal(3.7, 0.1, 5)
        above = -0.2 + slope * below + rng.normal(0, math.sqrt(variance), 5)
        low, high = Forecast(below[:4, None], above[:4])(below[4:]).interval()
        held.append(low <= math.exp(above[4]) <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)
