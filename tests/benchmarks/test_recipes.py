"""The figures by which recipes are compared, on rows whose answers are known."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks import recipes
from benchmarks.tabular.rows import Row

MUON = recipes.CONTENDERS[0]


def row(network: tuple[str, ...], rate: float, seed: int, perplexity: float | None) -> Row:
    overrides = (*network, *MUON.of(rate), f"recipe.seed={seed}")
    verdict = "diverged" if perplexity is None else "finished"
    return Row(overrides, network[0], seed, verdict, perplexity, 10.0, 600, 1000, ())


def rows() -> list[Row]:
    made = []
    for index, network in enumerate(recipes.NETWORKS):
        best = math.exp(3.0 + 0.1 * index)
        for rate, factor in zip((0.004, 0.008, 0.016, 0.032), (1.01, 1.0, 1.03, None), strict=True):
            for seed, scatter in ((0, 0.99), (1, 1 / 0.99)):
                value = None if factor is None else best * factor * scatter
                made.append(row(network, rate, seed, value))
    return made


def test_spread_scatter_and_flatness_in_closed_form() -> None:
    (found,) = recipes.verdicts(rows())
    assert found.contender is MUON
    assert all(found.best(network) == 0.008 for network in recipes.NETWORKS)
    # Two values at distance d from their mean have the variance 2 d^2.
    assert found.scatter() == pytest.approx(math.sqrt(2) * math.log(1 / 0.99))
    # Eight equally spaced values: s^2 = step^2 (n^2 - 1) / 12 * n / (n - 1).
    assert found.spread() == pytest.approx(0.1 * math.sqrt(63 / 12 * 8 / 7))
    # 0.032 diverges, but is four times the best rate.
    assert found.loss_within_two(recipes.NETWORKS[0]) == pytest.approx(0.03)
    shown = recipes.table(found)
    assert "for 0 of 8 networks; 10 processor" in shown
    assert "inf inf" in shown


def test_a_single_seed_has_no_scatter() -> None:
    (found,) = recipes.verdicts([r for r in rows() if r.seed == 0])
    assert found.scatter() is None
    assert "one seed each" in recipes.table(found)


def test_every_training_of_the_comparison_is_its_own(tmp_path: Path, tiny: list[str]) -> None:
    data = [o for o in tiny if o.startswith(("data", "model.vocab"))]
    found, common = recipes.jobs(tmp_path, data)
    assert len({job.name for job in found}) == len(found)
    assert len(found) == 2 * 8 * sum(len(contender.rates) for contender in recipes.CONTENDERS)
    assert len({job.candidate.identity for job in found}) == len(found)
    assert len(common["corpus fingerprint"]) == 32
    first = found[0].candidate
    assert (first.recipe.optimizer, first.recipe.lr, first.recipe.seed) == ("muon", 0.0113, 0)
