"""Which trainings a ladder asks for, what its lines say of them, and how they compare with a publication."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from aero_search.architecture import Architecture, parse_notation
from aero_search.errors import RequestError
from aero_search.front.record import Record
from aero_search.search.agreement import agreement
from aero_search.search.ladder import (
    LR,
    ROW,
    SEED,
    Ladder,
    LadderRow,
    first_points,
    ladder_space,
    lines,
    marginal_bests,
    next_points,
)
from tests.search.fakes import BASE, costs

NAMES = ("SM + LN + G", "SM + R", "SM")
PLAIN = Ladder(
    "plain",
    "a test",
    {
        name: LadderRow((f"variant={name}",), said)
        for name, said in zip(NAMES, (2.0, 3.0, "diverged"), strict=True)
    },  # type: ignore[arg-type]
    lr=(1e-3, 2e-3, 4e-3),
    seeds=(0, 1, 2),
)
CROSSED = replace(
    PLAIN,
    rows={"SM": LadderRow(("variant=sm",))},
    cross={
        "t": {"none": ("norm.layers=1",), "0.1": ("norm.layers=2",)},
        "weight": {"0": (), "0.02": ("ffn.layers=1",), "0.1": ("ffn.layers=2",)},
    },
    confirm="best",
)
_numbers = count()


def architectures(ladder: Ladder) -> dict[str, Architecture]:
    """Cells that differ in the width of their feed-forward alone, so that every one has a key of its own."""
    found = {}
    for i, name in enumerate(ladder.cells()):
        found[name] = replace(parse_notation("SM + LN + G", BASE), ffn_ratio=float(i + 1))
    return found


def record(architecture: Architecture, lr: float, seed: int, perplexity: float | None) -> Record:
    return Record(
        number=next(_numbers),
        candidate=f"c{lr}{seed}",
        architecture=architecture,
        notation="",
        state="finished" if perplexity is not None else "diverged",
        reason="" if perplexity is not None else "diverged at step 3, learning rate 1",
        perplexity=perplexity,
        costs=costs(architecture),
        overrides=(),
        lr=lr,
        seed=seed,
        seconds=1.0,
        folder=Path("nowhere"),
    )


def trained(ladder: Ladder, values: dict[str, dict[float, float | None]]) -> list[Record]:
    of = architectures(ladder)
    return [record(of[cell], lr, 0, ppl) for cell, by_lr in values.items() for lr, ppl in by_lr.items()]


def test_every_cell_starts_in_the_middle_of_the_grid_with_the_first_seed() -> None:
    points = first_points(PLAIN)
    assert [(p[ROW], p[LR], p[SEED]) for p in points] == [(n, lr, 0) for n in NAMES for lr in (1e-3, 2e-3)]
    space = ladder_space(PLAIN)
    assert all(p.contains(point[p.name]) for point in points for p in space.parameters)
    assert [p[LR] for p in first_points(replace(PLAIN, lr=(1e-3,)))] == [1e-3] * 3


@given(st.lists(st.floats(1, 100), min_size=1, max_size=7, unique=True), st.data())
def test_a_walk_ends_at_a_learning_rate_without_a_better_neighbour(
    values: list[float], data: st.DataObject
) -> None:
    dead = data.draw(st.sets(st.sampled_from(range(len(values)))))
    ladder = replace(PLAIN, rows={"SM": LadderRow(())}, lr=tuple(1e-3 * (i + 1) for i in range(len(values))))
    of = architectures(ladder)
    found = {
        lr: None if i in dead else value for i, (lr, value) in enumerate(zip(ladder.lr, values, strict=True))
    }
    records: list[Record] = []
    points = first_points(ladder)
    while points and all(p[SEED] == 0 for p in points):
        for p in points:
            lr = float(p[LR])  # type: ignore[arg-type]
            assert lr not in {r.lr for r in records}
            records.append(record(of["SM"], lr, 0, found[lr]))
        points = next_points(ladder, lines(ladder, of, records))
    (line,) = lines(ladder, of, records)
    best = found[line.lr or 0.0]
    at = ladder.lr.index(line.lr or 0.0)
    for near in ladder.lr[max(0, at - 1) : at + 2]:
        other = found[near]
        assert other is None or (best is not None and best <= other)
    assert bool(points) == (best is not None)


def test_cells_combine_rows_with_the_levels_of_every_factor() -> None:
    cells = CROSSED.cells()
    assert len(cells) == 6
    assert cells["SM, t 0.1, weight 0.1"].overrides == ("variant=sm", "norm.layers=2", "ffn.layers=2")
    assert next(iter(cells)) == "SM, t none, weight 0"


def test_the_other_seeds_go_to_the_best_learning_rate() -> None:
    values: dict[str, dict[float, float | None]] = {
        "SM + LN + G": {1e-3: 50.0, 2e-3: 40.0, 4e-3: 45.0},
        "SM + R": {1e-3: 41.0, 2e-3: 42.0, 4e-3: None},
        "SM": {1e-3: None, 2e-3: None, 4e-3: None},
    }
    table = lines(PLAIN, architectures(PLAIN), trained(PLAIN, values))
    assert [line.lr for line in table] == [2e-3, 1e-3, 1e-3]
    points = next_points(PLAIN, table)
    assert [(p[ROW], p[LR], p[SEED]) for p in points] == [
        ("SM + LN + G", 2e-3, 1),
        ("SM + LN + G", 2e-3, 2),
        ("SM + R", 1e-3, 1),
        ("SM + R", 1e-3, 2),
    ]
    assert len(table[1].diverged) == 1
    assert table[2].perplexity is None


def test_nothing_is_asked_twice() -> None:
    of = architectures(PLAIN)
    records = trained(PLAIN, {"SM + LN + G": {1e-3: 50.0, 2e-3: 51.0}})
    records.append(record(of["SM + LN + G"], 1e-3, 1, 52.0))
    table = lines(PLAIN, of, records)
    assert [(p[ROW], p[SEED]) for p in next_points(PLAIN, table)] == [("SM + LN + G", 2)]
    assert table[0].perplexity == 51.0
    assert table[0].spread == pytest.approx(2**0.5)


def test_a_seed_that_diverged_leaves_no_mean() -> None:
    of = architectures(PLAIN)
    records = [record(of["SM"], 1e-3, 0, 50.0), record(of["SM"], 1e-3, 1, None)]
    line = lines(PLAIN, of, records)[2]
    assert line.perplexity is None
    assert line.perplexities == [50.0]


def test_cells_with_the_same_architecture_share_their_trainings() -> None:
    same = dict.fromkeys(PLAIN.cells(), BASE)
    table = lines(PLAIN, same, [record(BASE, 2e-3, 0, 40.0)])
    assert [line.perplexity for line in table] == [40.0] * 3


def test_confirm_best_trains_again_only_what_the_gains_are_read_from() -> None:
    perplexities = dict(zip(CROSSED.cells(), (50.0, 49.0, 51.0, 45.0, 44.0, 48.0), strict=True))
    ladder = replace(CROSSED, lr=(1e-3,))
    table = lines(
        ladder, architectures(ladder), trained(ladder, {n: {1e-3: p} for n, p in perplexities.items()})
    )
    chosen = {name: line.perplexity for name, line in marginal_bests(ladder, table, "SM").items()}
    assert chosen == {"first": 50.0, "t": 45.0, "weight": 49.0, "best": 44.0}
    asked = {str(p[ROW]) for p in next_points(ladder, table)}
    assert asked == {name for name, ppl in perplexities.items() if ppl in chosen.values()}
    every = next_points(replace(ladder, confirm="all"), table)
    assert len(every) == 2 * len(perplexities)


def test_agreement_is_kendall_s_tau_with_diverged_rows_last() -> None:
    def of(*values: float | None) -> list[float | None]:
        return list(values)

    for found in (of(40.0, 50.0, None), of(50.0, 40.0, None), of(40.0, 40.5, 39.0), of(None, None, 40.0)):
        values: dict[str, dict[float, float | None]] = {
            n: {1e-3: v} for n, v in zip(NAMES, found, strict=True)
        }
        table = lines(PLAIN, architectures(PLAIN), trained(PLAIN, values))
        ranks = [1e9 if v is None else v for v in found]
        result = agreement(table)
        assert result is not None
        assert result.kendall == pytest.approx(kendalltau([2, 3, 9], ranks).statistic)
    assert result.reversed == (("SM", "SM + LN + G"), ("SM", "SM + R"))


def test_gaps_under_two_percent_are_ties() -> None:
    values: dict[str, dict[float, float | None]] = {
        "SM + LN + G": {1e-3: 40.5},
        "SM + R": {1e-3: 40.0},
        "SM": {1e-3: 60.0},
    }
    result = agreement(lines(PLAIN, architectures(PLAIN), trained(PLAIN, values)))
    assert result is not None
    assert (result.pairs, result.reversed) == (2, ())


def test_agreement_needs_two_trained_rows() -> None:
    assert agreement(lines(PLAIN, architectures(PLAIN), [])) is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rows": {}}, "ladder.rows is empty"),
        ({"lr": ()}, "ladder.lr"),
        ({"lr": (1e-3, 1e-3)}, "none twice"),
        ({"lr": (2e-3, 1e-3)}, "must rise"),
        ({"lr": (1.2345e-3,)}, "at most three digits"),
        ({"seeds": (-1,)}, "ladder.seeds=-1"),
        ({"cross": {"t": {}}}, "ladder.cross.t has no levels"),
    ],
)
def test_bad_ladders_are_told_in_one_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence.replace(".", r"\.")):
        replace(PLAIN, **change)  # type: ignore[arg-type]
