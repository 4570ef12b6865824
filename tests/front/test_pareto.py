"""Fronts and hypervolume: closed forms, and a brute-force reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aero_search.front.pareto import COST_SLACK, Reference, knee, nondominated

rows = st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=12)


@given(rows)
def test_nondominated_equals_brute_force(points: list[tuple[int, int, int]]) -> None:
    array = np.asarray(points, dtype=float)
    kept = nondominated(array)
    for i, p in enumerate(array):
        dominated = any((q <= p).all() and (q < p).any() for q in array)
        twin_before = any((array[j] == p).all() for j in range(i))
        assert kept[i] == (not dominated and not twin_before)


def reference() -> Reference:
    return Reference(unigram_perplexity=math.exp(6.0), costs={"latency_s": 10.0, "flops": 100.0})


def test_hypervolume_of_one_point_is_a_box() -> None:
    volume = reference().hypervolume([[math.exp(3.0), 5.5, 55.0]])
    assert volume == pytest.approx((1 - 3 / 6) * (1 - 0.5) * (1 - 0.5))


def test_the_baseline_itself_adds_volume_and_the_reference_does_not() -> None:
    assert reference().hypervolume([[math.exp(3.0), 10.0, 100.0]]) == pytest.approx(
        0.5 * (1 - 1 / COST_SLACK) ** 2
    )
    assert reference().hypervolume([[math.exp(6.0), 1.0, 1.0]]) == 0.0
    assert reference().hypervolume([]) == 0.0


def test_two_points_overlap_once() -> None:
    both = reference().hypervolume([[math.exp(3.0), 5.5, 55.0], [math.exp(4.5), 2.75, 27.5]])
    assert both == pytest.approx(0.125 + 0.25 * 0.75 * 0.75 - 0.25 * 0.5 * 0.5)


def test_knee_is_the_balanced_point() -> None:
    assert knee(np.asarray([[0.0, 1.0], [0.2, 0.2], [1.0, 0.0]])) == 1
    assert knee(np.asarray([[0.3, 0.7]])) == 0


def test_the_knee_weighs_relative_changes_whatever_the_front_spans() -> None:
    # 51 % of perplexity are never given for 3 % of a cost, although both span the whole front.
    rows = [[60.0, 1.03, 10.0], [90.6, 1.0, 10.0]]
    assert knee(reference().logs(rows)) == 0
    # A cost of 0 is the least there is, and no error.
    assert np.isfinite(reference().logs([[60.0, 0.0, 10.0]])).all()
