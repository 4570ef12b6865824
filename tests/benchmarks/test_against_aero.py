"""The search against AERO's ladder, on rows whose answers are known, and once for real at a tiny size."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks import against_aero as bench
from benchmarks.tabular.rows import Row
from benchmarks.tabular.trainings import train_row


def row(overrides: tuple[str, ...], perplexity: float | None, seconds: float = 10.0) -> Row:
    return Row(overrides, overrides[0], 0, "finished", perplexity, seconds, 100, 1000, ())


def test_the_ladder_walks_each_row_to_its_best_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    network = ("variant=sm",)
    monkeypatch.setattr(bench, "LADDER", {"SM": network})
    curve = {rate: 40.0 + abs(math.log(rate / 0.016)) for rate in bench.RATES}
    rows: list[Row] = []
    tried = []
    while wanted := bench.walk(rows):
        tried.append([float(o.removeprefix("recipe.lr=")) for line in wanted for o in line if "lr" in o])
        rows += [row(line, curve[rate]) for line, rate in zip(wanted, tried[-1], strict=True)]
    assert tried == [[0.0056, 0.008], [0.0113], [0.016]]
    # A rate that diverged is passed over.
    rows = [row(bench.at(network, rate), value) for rate, value in ((0.0056, 50.0), (0.008, None))]
    assert bench.walk(rows) == [bench.at(network, 0.004)]


def found(ladder: tuple[bench.Point, ...], search: tuple[bench.Point, ...]) -> bench.Found:
    return bench.Found(9, 90.0, 91.0, 100.0, (10.0, 1e8), (20.0, 2e8), ladder, search)


def test_ratios_of_hypervolumes_in_closed_form() -> None:
    one = bench.Point("SM + R", ("variant=sm_r",), (5.5, 0.55e8), (11.0, 1.1e8))
    other = bench.Point("SM", ("variant=sm",), (5.5, 0.55e8), (11.0, 1.1e8))
    both = found((one,), (other,))
    rows = [row(bench.at(one.overrides, seed=seed), 10.0) for seed in bench.FRESH]
    assert bench.ratios(both, rows) == []
    rows += [row(bench.at(other.overrides, seed=seed), 10.0**0.5) for seed in bench.FRESH]
    # Half of each cost's share in both; log perplexity 1/2 and 1/4 of log 100.
    assert bench.ratios(both, rows, own_box=False) == pytest.approx([1.5] * 3)
    # The box ends a tenth beyond the worse one.
    assert bench.ratios(both, rows) == pytest.approx([11.0] * 3)
    assert bench.ratios(found((one,), (one,)), rows) == pytest.approx([1.0] * 3)
    assert bench.ratios(both, rows, size=bench.LARGER) == []
    assert "1.500 (1.500 to 1.500, 3 seeds)" in bench.report(both, rows)


def test_interval_is_student_s() -> None:
    middle, low, high = bench.interval([math.exp(v) for v in (0.1, 0.2, 0.3)])
    half = 4.3027 * 0.1 / 3**0.5
    assert (middle, low, high) == pytest.approx(
        (math.exp(0.2), math.exp(0.2 - half), math.exp(0.2 + half)), rel=1e-4
    )
    assert bench.interval([2.0]) == (pytest.approx(2.0), 0.0, math.inf)


def test_what_was_found_is_read_back(tmp_path: Path) -> None:
    one = bench.Point("SM + R", ("variant=sm_r", "recipe.lr=0.0113"), (5.5, 0.55e8), (11.0, 1.1e8))
    said = found((one,), (one, one))
    said.write(tmp_path / "fronts.json")
    read = bench.Found.read(tmp_path / "fronts.json")
    assert (read.ladder, read.search, read.trainings) == (said.ladder, said.search, said.trainings)


@pytest.mark.slow
def test_both_sides_are_really_trained(
    tmp_path: Path, tiny: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "RECIPE", "proxy_adamw")
    monkeypatch.setattr(bench, "LADDER", {name: bench.LADDER[name] for name in ("SM + LN + G", "SM + R")})
    monkeypatch.setattr(bench, "LARGER", ("model.n_layer=3",))
    base = tuple(o for o in tiny if not o.startswith("recipe=") and not o.startswith("recipe.lr"))
    jobs, _ = bench.composed_jobs(tmp_path, bench.walk([]), base, bench.RECIPE)
    rows = [train_row(job) for job in jobs]
    said = bench.search_and_compare(tmp_path, rows, (*base, "search.workers=1"))
    assert said.trainings == 4
    assert said.ladder
    assert said.search
    settings = {p.overrides for p in (*said.ladder, *said.search)}
    assert len(bench.again(said)) == len(bench.FRESH) * len(settings)
    again, _ = bench.composed_jobs(tmp_path, bench.again(said), base, bench.RECIPE)
    assert {job.candidate.recipe.seed for job in again} == set(bench.FRESH)
    assert all(p.larger[1] > p.costs[1] for p in said.search)
