"""How much of a table is luck: figures of made-up trainings whose scatter is known."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.tabular.luck import report
from benchmarks.tabular.rows import Row


def row(network: int, seed: int, perplexity: float | None) -> Row:
    verdict = "finished" if perplexity else "diverged"
    return Row((f"ffn.layers={network}",), "SM", seed, verdict, perplexity, 10.0, 100, 1000, ())  # type: ignore[arg-type]


def test_the_scatter_of_a_seed_is_found_again() -> None:
    rng = np.random.default_rng(0)
    rows = [
        row(network, seed, 50.0 * math.exp(0.001 * network + 0.02 * rng.standard_normal()))
        for network in range(600)
        for seed in (0, 1)
    ]
    lost = [row(1000, 0, None), row(1000, 1, 50.0), row(1001, 0, 50.0)]
    lines = report([*rows, *lost], front=7).splitlines()
    assert lines[0] == "601 networks, 7 on the front, 600 with a second seed"
    # The median of |N(0, 2 s^2)| is 0.954 s.
    assert 1.6 < float(lines[1].split("differ by ")[1].split("%")[0]) < 2.1
    assert 1.8 < float(lines[2].split("scatters by ")[1].split("%")[0]) < 2.1
    # 300 networks that lie 0.1 % apart, and luck: sqrt(0.0866^2 + 0.02^2).
    assert 8.0 < float(lines[3].split("scatters by ")[1].split("%")[0]) < 9.5
