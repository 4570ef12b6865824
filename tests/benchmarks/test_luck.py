"""How much of a table is luck: figures of made-up trainings whose scatter is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.tabular.luck import report
from benchmarks.tabular.rows import Row


def row(network: int, seed: int, perplexity: float | None) -> Row:
    verdict = "finished" if perplexity else "diverged"
    return Row((f"ffn.layers={network}",), "SM", seed, verdict, perplexity, 10.0, 100, 1000, ())  # type: ignore[arg-type]


def test_the_scatter_of_a_seed_is_found_again_in_each_half() -> None:
    rng = np.random.default_rng(0)
    # The worse half lies far from the better one, and its seeds scatter five times as much.
    rows = [
        row(i, seed, 50.0 * math.exp(0.0001 * i + (i >= 300) + noise * rng.standard_normal()))
        for i, noise in enumerate([0.02] * 300 + [0.1] * 300)
        for seed in (0, 1)
    ]
    lost = [row(1000, 0, None), row(1000, 1, 50.0), row(1001, 0, 1e6)]
    lines = report([*rows, *lost], front=7).splitlines()
    assert lines[0] == "601 networks, 7 on the front, 600 with a second seed"
    # The median of |N(0, 2 s^2)| is 0.954 s; places scatter by 0.03 / sqrt(12), so the seeds correlate by
    # 0.0087^2 / (0.0087^2 + s^2).
    for line, half, noise, correlation in ((lines[1], "better", 2.0, 0.16), (lines[2], "worse", 10.0, 0.01)):
        assert line.startswith(f"the {half} half, ")
        assert "300 pairs" in line
        told = [float(text.split("%")[0]) for text in line.split(" by ")[1:]]
        assert told[:2] == pytest.approx([0.954 * noise, noise], rel=0.15)
        assert float(line.split()[-1]) == pytest.approx(correlation, abs=0.12)
