"""The surfaces: they recover what is there, learn the noise, believe what is pending, survive poor data."""

from __future__ import annotations

import numpy as np
import pytest

from aero_search.search.known_cost.model import Chance, Scaling, Seconds, Surface, capped


def observed(n: int, noise: float, seed: int = 0, d: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, noisy values and true values; only two of the features matter."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(n, d))
    true = 4.2 + 0.3 * np.sin(4 * x[:, 0]) - 0.2 * x[:, 1]
    return x, true + rng.normal(0, noise, n), true


def test_it_predicts_and_learns_the_noise() -> None:
    x, y, _ = observed(90, 0.03)
    surface = Surface(x, y)
    assert surface.noise == pytest.approx(0.03, rel=0.5)
    at, _, true = observed(300, 0.0, seed=1)
    mean, sd = surface.predict(at)
    assert np.sqrt(np.mean((mean - true) ** 2)) < 0.3 * true.std()
    # What it says of its own error is right to a factor of two.
    assert 0.5 < np.sqrt(np.mean(((mean - true) / sd) ** 2)) < 2.0


def test_pending_points_are_believed_as_predicted() -> None:
    x, y, _ = observed(30, 0.01)
    surface = Surface(x, y)
    pending = np.full((1, x.shape[1]), 0.5)
    believed = surface.believing(pending)
    before, after = surface.predict(pending), believed.predict(pending)
    assert after[0] == pytest.approx(before[0], abs=0.2 * float(before[1][0]) + 1e-6)
    assert after[1] < before[1]
    assert surface.believing(pending[:0]) is surface


@pytest.mark.parametrize("n", [1, 2, 5])
def test_constant_values_and_single_points_are_no_obstacle(n: int) -> None:
    surface = Surface(np.zeros((n, 1)), np.full(n, 4.2))
    mean, sd = surface.predict(np.array([[0.0], [1.0]]))
    assert mean == pytest.approx([4.2, 4.2])
    assert (sd > 0).all()


def test_scaling_keeps_what_varies_once() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(20, 2))
    both = x[:, 0] - 3 * x[:, 1] + 2
    seen = np.column_stack([x[:, 0], np.full(20, 3.0), 2 * x[:, 0] + 1, x[:, 1], both])
    scaled = Scaling.of(seen)(seen)
    assert scaled.shape == (20, 2)
    assert scaled.min() == 0
    assert scaled.max() == pytest.approx(1)
    assert Scaling.of(np.ones((3, 4)))(np.ones((5, 4))).shape == (5, 1)


def test_a_few_hopeless_values_do_not_drown_the_differences_between_the_good() -> None:
    x, y, _ = observed(40, 0.01)
    y[:3] += 1.5  # perplexity four times as high, wherever they are
    at, _, true = observed(300, 0.0, seed=1)

    def error(values: np.ndarray) -> float:
        return float(np.sqrt(np.mean((Surface(x, values).predict(at)[0] - true) ** 2)))

    assert error(capped(y)) < 0.5 * error(y)
    middle = np.median(y)
    np.testing.assert_array_equal(capped(y)[y < middle], y[y < middle])
    assert capped(y).max() - middle == pytest.approx(middle - y.min())
    assert capped(y[:1]) == y[:1]


def test_few_trials_leave_it_as_unsure_as_it_is_wrong() -> None:
    """Around the median of the published prior it would claim a third of the error."""
    misses = []
    for seed in range(8):
        x, y, _ = observed(8, 0.01, seed)
        at, _, true = observed(100, 0.0, seed=100 + seed)
        mean, sd = Surface(x, y).predict(at)
        misses.append(np.mean(((mean - true) / sd) ** 2))
    assert np.median(misses) < 3


def test_the_chance_to_finish_follows_a_border_and_the_share_without_one() -> None:
    x = np.random.default_rng(0).uniform(size=(60, 4))
    finished = x[:, 0] < 0.7
    chance = Chance(x, finished)(np.array([[0.1, 0.5, 0.5, 0.5], [0.95, 0.5, 0.5, 0.5]]))
    assert chance[0] > 0.8
    assert chance[1] < 0.3
    np.testing.assert_allclose(Chance(x, np.ones(60, bool))(x[:2]), 61 / 62)
    np.testing.assert_allclose(Chance(x, np.zeros(60, bool))(x[:2]), 1 / 62)


def test_seconds_are_learned_from_their_logarithms() -> None:
    x = np.random.default_rng(0).uniform(size=(40, 3))
    seconds = 30 * np.exp(1.2 * x[:, 0] - 0.5 * x[:, 2])
    predicted = np.exp(Seconds(x, seconds).log(x))
    np.testing.assert_allclose(predicted, seconds, rtol=0.05)
    assert (Seconds(x[:1], seconds[:1]).log(x) == 0).all()
