"""The figures that say what a proxy tells of a larger size, on rows whose answers are known."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks import transfer
from benchmarks.tabular.rows import Row


def row(place: transfer.Place, network: transfer.Network, rate: float, perplexity: float | None) -> Row:
    verdict = "diverged" if perplexity is None else "finished"
    overrides = place.of(network, rate)
    return Row(overrides, " ".join(network), 0, verdict, perplexity, 10.0, place.steps, 1000, ())


def rows() -> list[Row]:
    """The same order and ratios at every place; the second rate is worse, and the last network diverges."""
    made = []
    for index, place in enumerate(transfer.PLACES):
        for i, network in enumerate(transfer.NETWORKS):
            value = None if i == len(transfer.NETWORKS) - 1 else (60 - 5 * index) * math.exp(0.02 * i)
            made += [
                row(place, network, transfer.RATES[0], value),
                row(place, network, transfer.RATES[1], value and 1.05 * value),
            ]
    return made


def test_the_best_rate_counts_and_the_same_order_has_tau_one() -> None:
    found = transfer.tables(rows())
    first = found[transfer.PLACES[-1]][transfer.NETWORKS[0]]
    assert first == pytest.approx(35.0)
    values = list(found[transfer.PLACES[-1]].values())
    assert math.isinf(values[-1])
    assert transfer.tau(values, values)[0] == 1.0
    assert transfer.tau(values, values[::-1])[0] == -1.0


def test_the_report_says_tau_errors_and_hours() -> None:
    said = transfer.report(rows())
    assert "2 layers, d=48, 600 steps: tau 1.00 [1.00, 1.00] over 16 networks" in said
    assert "foreseen by all others: median error 0.0 %, worst 0.0 %, 100% of the 95 % intervals hold" in said
    assert "4 layers, d=64, 1,200 steps: tau" in said
    assert "diverged" in said
    assert f"{len(rows())} trainings, 0.5 processor hours" in said


def test_a_table_that_is_half_there_says_how_much() -> None:
    half = [r for r in rows() if f"model.n_layer={6}" not in r.overrides]
    assert "tell of the largest (4 layers, d=64, 1,200 steps)" in transfer.report(half)
    few = [
        r
        for r in rows()
        if any("variant=sm_ln_g" in o for o in r.overrides) or "model.n_layer=2" in r.overrides
    ]
    assert "tell of the largest (2 layers, d=48, 1,200 steps)" in transfer.report(few)
    fewer = [r for r in rows() if "variant=sm_ln_g" in r.overrides]
    assert "2 networks have been at both" in transfer.report(fewer)


def test_every_training_is_its_own_and_small_ones_come_first(tmp_path: Path, tiny: list[str]) -> None:
    data = [o for o in tiny if o.startswith(("data", "model.vocab"))]
    found, _ = transfer.jobs(tmp_path, data)
    assert len(found) == 2 * 6 * len(transfer.NETWORKS)
    assert len({job.candidate.identity for job in found}) == len(found)
    first, last = found[0].candidate, found[-1].candidate
    assert (first.architecture.n_layer, first.architecture.d_model, first.recipe.steps) == (2, 48, 600)
    assert (last.architecture.n_layer, last.architecture.d_model, last.recipe.steps) == (6, 128, 1200)
